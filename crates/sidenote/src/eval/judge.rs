//! The judge of answers: a script, not a model. SQuAD normalisation (Rajpurkar et al., EMNLP 2016, arXiv 1606.05250), then
//! containment of an accepted answer in the reply, whole words only; beside it the exact match and the token F1 of the same paper,
//! which falls with every word too many.
//!
//! Accepted answers come in groups: of each group one has to be there. A question with one answer has one group of the ways to
//! say it, a question for two things has two.

/// Lower case, no punctuation, no articles, single spaces. A point or comma inside a number stays.
fn normalise(text: &str) -> String {
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
fn contains(reply: &str, accepted: &str) -> bool {
    format!(" {} ", normalise(reply)).contains(&format!(" {} ", normalise(accepted)))
}

/// The text without note numbers such as `[2]`: some accepted answers are small numbers.
fn without_notes(text: &str) -> String {
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
pub fn is_right(reply: &str, groups: &[Vec<String>]) -> bool {
    let reply = without_notes(reply);
    !groups.is_empty() && groups.iter().all(|group| group.iter().any(|accepted| contains(&reply, accepted)))
}

/// Whether the reply is an accepted answer and nothing else; with several groups never.
pub fn is_exact(reply: &str, groups: &[Vec<String>]) -> bool {
    let reply = normalise(&without_notes(reply));
    matches!(groups, [group] if group.iter().any(|accepted| normalise(accepted) == reply))
}

/// Token F1 of the reply with the accepted answer nearest to it, 0 to 1; of several groups, the mean.
pub fn token_f1(reply: &str, groups: &[Vec<String>]) -> f64 {
    let reply = normalise(&without_notes(reply));
    let best =
        |group: &Vec<String>| group.iter().map(|accepted| overlap_f1(&reply, &normalise(accepted))).fold(0.0, f64::max);
    groups.iter().map(best).sum::<f64>() / groups.len().max(1) as f64
}

/// Twice the words in common, repetitions counted, over all words of both.
fn overlap_f1(a: &str, b: &str) -> f64 {
    let mut left: Vec<&str> = b.split_whitespace().collect();
    let all = a.split_whitespace().count() + left.len();
    let mut in_common = 0;
    for word in a.split_whitespace() {
        if let Some(place) = left.iter().position(|other| *other == word) {
            left.swap_remove(place);
            in_common += 1;
        }
    }
    if in_common == 0 { 0.0 } else { f64::from(2 * in_common) / all as f64 }
}

/// Words of a text, note numbers not counted.
pub fn words(text: &str) -> usize {
    without_notes(text).split_whitespace().count()
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
        assert!(is_exact("The 14 days. [1]", &both[1..]) && !is_exact("within 14 days", &both[1..]));
        assert!(!is_exact("14 days", &both));
    }

    #[test]
    fn f1_falls_with_every_word_too_many() {
        let accepted = [vec!["14 days".to_owned(), "two weeks".to_owned()]];
        assert_eq!(token_f1("14 days [1]", &accepted), 1.0);
        assert_eq!(token_f1("within two weeks of delivery", &accepted), 4.0 / 7.0);
        assert_eq!(token_f1("never", &accepted), 0.0);
        assert_eq!(token_f1("", &[]), 0.0);
        assert_eq!(words("within 14 days [2]."), 4);
    }
}
