//! Objects inside comments: JSON as tools really write it.
//!
//! Laxer than JSON in what occurs: trailing commas (intermix.io, 2018), newlines inside strings (Periscope), control
//! characters, and an end that is missing because the text was cut. Bounded where comments are hostile: depth, number of
//! keys. Nested objects are flattened with dots; an array is kept as one value, its JSON text.

use std::borrow::Cow;

use super::{KEYS, Pair, Pairs};

/// How deep objects and arrays may nest; deeper ones are no annotation.
const DEPTH: usize = 16;

/// One object that was read.
#[derive(Debug, Default)]
pub(super) struct Object<'a> {
    /// Its keys, flattened, and their values as text; null is left out.
    pub(super) pairs: Pairs<'a>,
    /// How many bytes of the text it takes.
    pub(super) len: usize,
    /// The text ended inside it: what is whole is there.
    pub(super) cut: bool,
}

/// The object that the text begins with; none where it begins with none or with a broken one.
pub(super) fn object(text: &str) -> Option<Object<'_>> {
    let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, pairs: Vec::with_capacity(12) };
    let cut = match reader.object("", 0) {
        Ok(()) => false,
        Err(Stop::End) => true,
        Err(Stop::Broken) => return None,
    };
    Some(Object { pairs: reader.pairs, len: reader.at, cut })
}

/// Why reading stopped.
enum Stop {
    /// The text ended.
    End,
    /// This is no JSON.
    Broken,
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    pairs: Vec<Pair<'a>>,
}

/// A value that is no object.
enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
}

impl<'a> Reader<'a> {
    /// The next byte that is no blank.
    fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            match self.bytes.get(self.at) {
                Some(byte) if byte.is_ascii_whitespace() => self.at += 1,
                Some(byte) => return Ok(*byte),
                None => return Err(Stop::End),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.peek()? != byte {
            return Err(Stop::Broken);
        }
        self.at += 1;
        Ok(())
    }

    fn object(&mut self, path: &str, depth: usize) -> Result<(), Stop> {
        if depth >= DEPTH {
            return Err(Stop::Broken);
        }
        self.expect(b'{')?;
        loop {
            match self.peek()? {
                b'}' => {
                    self.at += 1;
                    return Ok(());
                }
                b'"' => {}
                _ => return Err(Stop::Broken),
            }
            let name = self.string()?;
            self.expect(b':')?;
            let key = if path.is_empty() { name } else { Cow::Owned(format!("{path}.{name}")) };
            if self.peek()? == b'{' {
                self.object(&key, depth + 1)?;
            } else if let Value::Text(value) = self.value(depth)? {
                self.keep(key, value);
            }
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {}
                _ => return Err(Stop::Broken),
            }
        }
    }

    fn keep(&mut self, key: Cow<'a, str>, value: Cow<'a, str>) {
        if self.pairs.len() < KEYS {
            self.pairs.push((key, value));
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value<'a>, Stop> {
        match self.peek()? {
            b'"' => Ok(Value::Text(self.string()?)),
            b'[' => {
                let mut out = String::new();
                self.array(&mut out, depth)?;
                Ok(Value::Text(Cow::Owned(out)))
            }
            _ => match self.bare()? {
                "null" => Ok(Value::Null),
                text => Ok(Value::Text(Cow::Borrowed(text))),
            },
        }
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self) -> Result<&'a str, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let length = rest.iter().take_while(|b| word(b)).count();
        if length == rest.len() {
            return Err(Stop::End);
        }
        let text = self.text.get(self.at..self.at + length).unwrap_or_default();
        let number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-') && text.parse::<f64>().is_ok();
        if !number && !matches!(text, "null" | "true" | "false") {
            return Err(Stop::Broken);
        }
        self.at += length;
        Ok(text)
    }

    /// Any value as compact JSON text.
    fn write(&mut self, out: &mut String, depth: usize) -> Result<(), Stop> {
        match self.peek()? {
            b'"' => {
                let text = self.string()?;
                quote(out, &text);
            }
            b'[' => self.array(out, depth)?,
            b'{' => self.nested(out, depth)?,
            _ => out.push_str(self.bare()?),
        }
        Ok(())
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Result<(), Stop> {
        if depth >= DEPTH {
            return Err(Stop::Broken);
        }
        self.expect(b'[')?;
        out.push('[');
        let mut first = true;
        while self.peek()? != b']' {
            if !first {
                out.push(',');
            }
            first = false;
            self.write(out, depth + 1)?;
            self.comma(b']')?;
        }
        self.at += 1;
        out.push(']');
        Ok(())
    }

    /// An object inside an array.
    fn nested(&mut self, out: &mut String, depth: usize) -> Result<(), Stop> {
        if depth >= DEPTH {
            return Err(Stop::Broken);
        }
        self.expect(b'{')?;
        out.push('{');
        let mut first = true;
        while self.peek()? != b'}' {
            if !first {
                out.push(',');
            }
            first = false;
            if self.peek()? != b'"' {
                return Err(Stop::Broken);
            }
            let name = self.string()?;
            quote(out, &name);
            self.expect(b':')?;
            out.push(':');
            self.write(out, depth + 1)?;
            self.comma(b'}')?;
        }
        self.at += 1;
        out.push('}');
        Ok(())
    }

    fn comma(&mut self, end: u8) -> Result<(), Stop> {
        match self.peek()? {
            b',' => self.at += 1,
            byte if byte == end => {}
            _ => return Err(Stop::Broken),
        }
        Ok(())
    }

    /// A string; control characters are left out, an unknown escape stays as it is written.
    fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        let start = self.at + 1;
        let mut out: Option<String> = None;
        let mut kept = start;
        let mut at = start;
        loop {
            let rest = self.bytes.get(at..).unwrap_or_default();
            at += rest.iter().position(|&b| b < 0x20 || matches!(b, b'"' | b'\\' | 0x7f)).ok_or(Stop::End)?;
            let byte = *self.bytes.get(at).ok_or(Stop::End)?;
            let plain = self.text.get(kept..at);
            match byte {
                b'"' => {
                    self.at = at + 1;
                    let plain = plain.unwrap_or_default();
                    return Ok(match out {
                        None => Cow::Borrowed(plain),
                        Some(mut out) => {
                            out.push_str(plain);
                            Cow::Owned(out)
                        }
                    });
                }
                b'\\' => {
                    let out = out.get_or_insert_default();
                    out.push_str(plain.unwrap_or_default());
                    at += self.escape(at, out)?;
                    kept = at;
                }
                _ => {
                    out.get_or_insert_default().push_str(plain.unwrap_or_default());
                    at += 1;
                    kept = at;
                }
            }
        }
    }

    /// Writes the escape that begins here and says how many bytes it takes.
    fn escape(&self, at: usize, out: &mut String) -> Result<usize, Stop> {
        match *self.bytes.get(at + 1).ok_or(Stop::End)? {
            b'n' | b'r' | b't' | b'b' | b'f' => Ok(2),
            byte @ (b'"' | b'\\' | b'/') => {
                out.push(char::from(byte));
                Ok(2)
            }
            b'u' => {
                let (first, mut taken) = (self.hex(at + 2)?, 6);
                let mut code = first;
                if (0xd800..0xdc00).contains(&first)
                    && self.bytes.get(at + 6..at + 8) == Some(b"\\u")
                    && let Ok(second @ 0xdc00..0xe000) = self.hex(at + 8)
                {
                    code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    taken = 12;
                }
                out.extend(char::from_u32(code).filter(|c| !c.is_control()));
                Ok(taken)
            }
            _ => {
                out.push('\\');
                Ok(1)
            }
        }
    }

    fn hex(&self, at: usize) -> Result<u32, Stop> {
        if self.bytes.len() < at + 4 {
            return Err(Stop::End);
        }
        let digits = self.text.get(at..at + 4).ok_or(Stop::Broken)?;
        u32::from_str_radix(digits, 16).map_err(|_| Stop::Broken)
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn objects_are_read_as_tools_write_them() {
        for (text, expected) in OBJECTS {
            let found = object(text).map(|o| {
                let pairs: Vec<String> = o.pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
                format!("{}{}", pairs.join(" "), if o.cut { " …" } else { "" })
            });
            assert_eq!(found.as_deref(), *expected, "read {text:?} as something else");
        }
    }

    const OBJECTS: &[(&str, Option<&str>)] = &[
        (r#"{"a":"b"}"#, Some("a=b")),
        (r#"{ "a" : "b" , } rest"#, Some("a=b")),
        (
            r#"{"a":{"b":{"c":1}},"d":[1, "x", {"y":null,},],"e":null,"f":-1.50,"g":true}"#,
            Some("a.b.c=1 d=[1,\"x\",{\"y\":null}] f=-1.50 g=true"),
        ),
        ("{\"a\":\"x\ny\\nz\"}", Some("a=xyz")),
        (r#"{"a":"\u00e9\ud83d\ude00\"\/\q"}"#, Some("a=é😀\"/\\q")),
        (r#"{"a":"b","c":"d"#, Some("a=b …")),
        (r#"{"a":"b","c":12"#, Some("a=b …")),
        (r#"{"a""#, Some(" …")),
        (r#"{"a":"b"]"#, None),
        (r#"{'a':'b'}"#, None),
        (r#"{a:1}"#, None),
        (r#"{"a":NaN}"#, None),
        (r#"{"a":1 2}"#, None),
        (r#"["a"]"#, None),
        ("", Some(" …")),
        (
            r#"{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":{"a":1}}}}}}}}}}}}}}}}}"#,
            None,
        ),
    ];
}
