//! Any text of a statement is read, fingerprinted and normalised, and a cut one too.

#![no_main]

use lakeapm::annotation::{Reader, Source, fingerprint, normalise};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let reader = Reader::default();
    for truncated in [false, true] {
        reader.read(&Source { text, truncated, ..Default::default() });
    }
    fingerprint(text);
    normalise(text);
});
