//! Any text is a panel query that says the same when it is written and read again, or an error at a place in it.

#![no_main]

use lakeapm::query;

libfuzzer_sys::fuzz_target!(|text: &str| {
    match query::parse(text) {
        Ok(said) => {
            let written = said.to_string();
            assert_eq!(query::parse(&written), Ok(said), "{text:?} was written as {written:?}");
        }
        Err(error) => {
            let query::Span { from, to } = error.span();
            assert!(text.get(from..to).is_some(), "{error} is at no place in {text:?}");
            query::mark(text, error.span());
        }
    }
});
