//! What a statement that says nothing takes over from another, and that it did.

use super::{
    Reader, Source,
    lexer::{Kind, Lexer},
};

/// The raw key that says from where a statement has its annotation.
pub const INHERITED: &str = "inherited";

/// A text behind the comments of another: read, it says what that one says, and that it has it from there. The text as it is
/// where the other says nothing.
pub fn inherited(text: &str, from: &str, how: &str) -> String {
    if !Reader::default().annotations(&Source { text: from, ..Source::default() }).signed() {
        return text.to_owned();
    }
    let mut signed = format!("/* {{\"{INHERITED}\":\"{how}\"}} */ ");
    let mut lexer = Lexer::new(from, false);
    while let Some(token) = lexer.token() {
        if token.kind == Kind::Comment
            && let Some(comment) = from.get(token.from..token.to)
        {
            signed.push_str(comment);
            // One of a line ends with it.
            signed.push('\n');
        }
    }
    signed.push_str(text);
    signed
}

/// A text with a blank for each of its comments.
pub fn without_comments(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut lexer = Lexer::new(text, false);
    let mut at = 0;
    while let Some(token) = lexer.token() {
        if token.kind == Kind::Comment {
            bare.push_str(text.get(at..token.from).unwrap_or_default());
            bare.push(' ');
            at = token.to;
        }
    }
    bare.push_str(text.get(at..).unwrap_or_default());
    bare
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::annotation::{Reader, Source};

    #[test]
    fn what_is_taken_over_is_read_and_told() {
        for declare in [
            "/* {\"dag\":\"sales\",\"task\":\"load\"} */ declare c cursor for select 1",
            "-- {\"dag\":\"sales\",\"task\":\"load\"}\ndeclare c cursor for select 1",
            "declare c cursor for select 1 /*dag='sales',task='load'*/",
        ] {
            let text = inherited("fetch 10 from c", declare, "declare");
            let read = Reader::default().read(&Source { text: &text, ..Source::default() });
            let found = |key: &str| read.annotations.iter().find(|a| a.key == key).map(|a| a.value.to_string());
            assert_eq!(found("dag").as_deref(), Some("sales"), "{text}");
            assert_eq!(found(INHERITED).as_deref(), Some("declare"), "{text}");
            assert_eq!(read.text.trim(), "fetch 10 from c", "{text}");
        }
        assert_eq!(inherited("fetch 10 from c", "declare c cursor for select 1", "declare"), "fetch 10 from c");
        assert_eq!(without_comments("/* a */ select/*b*/1 -- c").trim(), "select 1");
    }
}
