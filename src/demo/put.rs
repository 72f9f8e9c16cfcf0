//! Writing texts fast: `put!(text, "select ", column, …)` pushes each part without the formatting machinery.

/// A part of a text.
pub(super) trait Put {
    fn put(&self, text: &mut String);
}

impl Put for &str {
    fn put(&self, text: &mut String) {
        text.push_str(self);
    }
}

impl Put for &String {
    fn put(&self, text: &mut String) {
        text.push_str(self);
    }
}

impl Put for u64 {
    fn put(&self, text: &mut String) {
        let mut digits = [b'0'; 20];
        let mut rest = *self;
        let mut used = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            used += 1;
            if rest == 0 {
                break;
            }
        }
        let digits = digits.get(20 - used..).unwrap_or_default();
        text.push_str(std::str::from_utf8(digits).unwrap_or_default());
    }
}

/// Sixteen hexadecimal digits.
pub(super) struct Hex(pub(super) u64);

impl Put for Hex {
    fn put(&self, text: &mut String) {
        hex(text, self.0, 16);
    }
}

/// The low `digits` hexadecimal digits.
pub(super) struct Low(pub(super) u64, pub(super) u32);

impl Put for Low {
    fn put(&self, text: &mut String) {
        hex(text, self.0, self.1);
    }
}

/// A version 4 UUID of 128 bits.
pub(super) struct Uuid(pub(super) u64, pub(super) u64);

impl Put for Uuid {
    fn put(&self, text: &mut String) {
        hex(text, self.0 >> 32, 8);
        text.push('-');
        hex(text, self.0 >> 16, 4);
        text.push_str("-4");
        hex(text, self.0, 3);
        text.push('-');
        hex(text, (self.1 >> 48) & 0x3fff | 0x8000, 4);
        text.push('-');
        hex(text, self.1, 12);
    }
}

/// A number with leading zeros.
pub(super) struct Zeros(pub(super) u64, pub(super) u32);

impl Put for Zeros {
    fn put(&self, text: &mut String) {
        let mut unit = 10u64.saturating_pow(self.1.saturating_sub(1));
        while unit > 0 {
            text.push(char::from(b'0' + (self.0 / unit % 10) as u8));
            unit /= 10;
        }
    }
}

/// A time of day in microseconds as `07:05:09.123456`.
pub(super) struct Clock(pub(super) i64);

impl Put for Clock {
    fn put(&self, text: &mut String) {
        let us = self.0.max(0).cast_unsigned();
        Zeros(us / 3_600_000_000, 2).put(text);
        text.push(':');
        Zeros(us / 60_000_000 % 60, 2).put(text);
        text.push(':');
        Zeros(us / 1_000_000 % 60, 2).put(text);
        text.push('.');
        Zeros(us % 1_000_000, 6).put(text);
    }
}

fn hex(text: &mut String, bits: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let digit = (bits >> (4 * digit).min(63) & 15) as u8;
        text.push(char::from(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }));
    }
}

/// Pushes each part onto a text.
macro_rules! put {
    ($text:expr, $($part:expr),+ $(,)?) => {{ $( $crate::demo::put::Put::put(&$part, $text); )+ }};
}
pub(super) use put;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn parts_read_as_they_should() {
        for (part, text) in CASES {
            let mut got = String::new();
            part.put(&mut got);
            assert_eq!(got, *text, "a part is written differently");
        }
    }

    const CASES: &[(&dyn Put, &str)] = &[
        (&"select", "select"),
        (&0u64, "0"),
        (&18_446_744_073_709_551_615u64, "18446744073709551615"),
        (&Hex(0xab), "00000000000000ab"),
        (&Low(0x1234, 3), "234"),
        (&Zeros(7, 4), "0007"),
        (&Clock(25_509_123_456), "07:05:09.123456"),
        (&Uuid(0x0123_4567_89ab_cdef, 0xffff_0000_0000_0001), "01234567-89ab-4def-bfff-000000000001"),
    ];
}
