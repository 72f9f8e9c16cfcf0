//! What a statement that says nothing takes over from another, and that it did.

use super::{
    Reader, Source,
    lexer::{Kind, Lexer},
};

/// The raw key that says from where a statement has its annotation.
pub const INHERITED: &str = "inherited";

/// A text behind the comments of another: read, it says what that one says, and, where a comment has keys of its own choice,
/// that it has it from there. The text as it is where the other says nothing.
pub fn inherited(text: &str, from: &str, how: &str) -> String {
    if !Reader::default().annotations(&Source { text: from, ..Source::default() }).signed() {
        return text.to_owned();
    }
    let mut signed = String::new();
    let mut lexer = Lexer::new(from, false);
    while let Some(token) = lexer.token() {
        if token.kind == Kind::Comment
            && let Some(comment) = from.get(token.from..token.to)
        {
            signed.push_str(&told(comment, how));
            // One of a line ends with it.
            signed.push('\n');
        }
    }
    signed.push_str(text);
    signed
}

// The comment with one more key, where it is a JSON object or sqlcommenter's; others have no place for it.
fn told(comment: &str, how: &str) -> String {
    let body = comment.trim_start_matches(['-', '/', '*', '#']);
    let (open, rest) = comment.split_at_checked(comment.len() - body.len()).unwrap_or(("", comment));
    match rest.trim_start().strip_prefix('{') {
        Some(object) => format!("{open} {{\"{INHERITED}\":\"{how}\",{object}"),
        None if rest.contains("='") => format!("{open}{INHERITED}='{how}',{}", rest.trim_start()),
        None => comment.to_owned(),
    }
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
