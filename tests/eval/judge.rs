//! The judge of answers: a script, not a model. SQuAD normalisation (Rajpurkar et al. 2016), then containment of an
//! accepted answer in the reply, whole words only.

/// Lower case, no punctuation, no articles, single spaces. A point or comma inside a number stays.
pub(crate) fn normalise(text: &str) -> String {
    let lower = text.to_lowercase();
    let characters: Vec<char> = lower.chars().collect();
    let mut spaced = String::with_capacity(lower.len());
    for (place, c) in characters.iter().enumerate() {
        let digit = |place: Option<usize>| place.and_then(|p| characters.get(p)).is_some_and(char::is_ascii_digit);
        let inside_number = matches!(c, '.' | ',') && digit(place.checked_sub(1)) && digit(Some(place + 1));
        if c.is_alphanumeric() || inside_number && *c == '.' {
            spaced.push(*c);
        } else if !inside_number {
            spaced.push(' ');
        }
    }
    spaced.split_whitespace().filter(|word| !matches!(*word, "a" | "an" | "the")).collect::<Vec<_>>().join(" ")
}

/// Whether the reply holds the accepted answer.
pub(crate) fn contains(reply: &str, accepted: &str) -> bool {
    format!(" {} ", normalise(reply)).contains(&format!(" {} ", normalise(accepted)))
}

/// The text without note numbers such as `[2]`: some accepted answers are small numbers.
pub(crate) fn without_notes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let inside = rest[open + 1..].split_once(']').map(|(inside, _)| inside);
        match inside
            .filter(|inside| !inside.is_empty() && inside.chars().all(|c| c.is_ascii_digit() || ", ".contains(c)))
        {
            Some(inside) => {
                kept.push_str(&rest[..open]);
                rest = &rest[open + inside.len() + 2..];
            }
            None => {
                kept.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
            }
        }
    }
    kept + rest
}

/// Whether the reply holds one of the accepted answers; of several groups, one of each.
pub(crate) fn is_right(reply: &str, groups: &[Vec<String>]) -> bool {
    let reply = without_notes(reply);
    !groups.is_empty() && groups.iter().all(|group| group.iter().any(|accepted| contains(&reply, accepted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_count_and_form_does_not() {
        assert!(contains("The Head of Finance, Ruth.", "head of finance"));
        assert!(contains("It costs EUR 1,250.00 net", "1250.00"));
        assert!(!contains("14 days", "4 days"));
        assert!(!contains("", "4 days"));
        assert_eq!(without_notes("14 days [2] of [a] [1, 3]."), "14 days  of [a] .");
        let both = [vec!["ruth".to_owned(), "r. example".to_owned()], vec!["14 days".to_owned()]];
        assert!(is_right("Ruth, within 14 days", &both));
        assert!(!is_right("Ruth", &both));
        assert!(!is_right("anything", &[]));
    }
}
