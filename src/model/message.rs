//! Error messages without what differs each time, so that the same error is one group.

/// The message with its numbers, ids and quoted values replaced by `?`, and its white space single.
///
/// Applying it twice changes nothing, so a condition can be given either form.
pub fn error_group(message: &str) -> String {
    let mut group = String::with_capacity(message.len().min(LONGEST));
    let mut rest = message.trim();
    while let Some(first) = rest.chars().next() {
        if group.len() >= LONGEST {
            group.push('…');
            break;
        }
        if first.is_whitespace() || first.is_control() {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
            group.push(' ');
        } else if matches!(first, '\'' | '"' | '`') {
            let inside = rest.get(1..).unwrap_or_default();
            match inside.find(first).filter(|end| !inside.get(..*end).unwrap_or_default().contains('\n')) {
                // An apostrophe, as in `user's request`, opens nothing.
                Some(end) if !group.ends_with(char::is_alphanumeric) => {
                    group.push(first);
                    group.push('?');
                    group.push(first);
                    rest = inside.get(end + 1..).unwrap_or_default();
                }
                _ => {
                    group.push(first);
                    rest = inside;
                }
            }
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if is_id(word) {
                push_unknown(&mut group)
            } else {
                group.push_str(word)
            }
            rest = after;
        } else {
            // `1.5`, `-3`, `12:30` and uuids leave only their punctuation between `?`; it goes with what follows it.
            let after = rest.get(first.len_utf8()..).unwrap_or_default();
            let end = after.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(after.len());
            let (word, beyond) = after.split_at(end);
            let of_uuid = first == '-' && word.len() >= 4 && word.chars().all(|c| c.is_ascii_hexdigit());
            if matches!(first, '.' | '-' | ':' | ',') && group.ends_with('?') && (is_id(word) || of_uuid) {
                rest = beyond;
            } else {
                group.push(first);
                rest = after;
            }
        }
    }
    group
}

/// Longer messages are cut: they differ in their ends, not in their meaning.
const LONGEST: usize = 400;

// A number, or letters and digits mixed as in ids: `volt_tt_60a3f`, `0x3f`, `Q12`. Names such as `sha256` or `s3` keep
// at most three digits.
fn is_id(word: &str) -> bool {
    let digits = word.chars().filter(char::is_ascii_digit).count();
    digits > 0 && (digits == word.chars().count() || digits > 3 || word.starts_with("0x"))
        || word.len() >= 8 && digits > 0 && word.chars().all(|c| c.is_ascii_hexdigit())
}

fn push_unknown(group: &mut String) {
    if !group.ends_with('?') {
        group.push('?');
    }
}

#[cfg(test)]
mod tests {
    use super::error_group;

    const CASES: &[(&str, &str)] = &[
        ("", ""),
        ("relation \"orders_2026\" does not exist", "relation \"?\" does not exist"),
        ("Query (12345) cancelled on user's request", "Query (?) cancelled on user's request"),
        ("1023  Serializable isolation violation on table - 4711", "? Serializable isolation violation on table - ?"),
        ("division by zero", "division by zero"),
        ("value 'it is 5 o clock' at line 3:14", "value '?' at line ?"),
        ("id 5f0c1a2b-11aa-4bcd-9abc-0123456789ab lost", "id ? lost"),
        ("S3 and sha256 stay, volt_tt_60a3f12345 goes", "S3 and sha256 stay, ? goes"),
        ("spent 1.5 of -3 at 12:30:01", "spent ? of -? at ?"),
        ("an open 'quote", "an open 'quote"),
        ("ünïcode 'straße' 12", "ünïcode '?' ?"),
    ];

    #[test]
    fn messages_become_groups() {
        for (message, expected) in CASES {
            let group = error_group(message);
            assert_eq!(&group, expected, "the group of {message:?}");
            assert_eq!(error_group(&group), group, "the group of the group of {message:?}");
        }
    }
}
