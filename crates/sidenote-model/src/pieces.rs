//! From token bytes to text that can be shown: whole characters, and nothing of a stop text.

/// Collects bytes and gives out text.
///
/// A character may be spread over several tokens, and a stop text over several more: what could still become either is held
/// back until it is settled. Bytes that are no UTF-8 become U+FFFD.
#[derive(Debug)]
pub(crate) struct Pieces {
    stops: Vec<String>,
    bytes: Vec<u8>,
    held: String,
}

/// What became of a token's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text to show; may be empty.
    Text(String),
    /// The last text to show: a stop text followed it.
    Stop(String),
}

impl Pieces {
    pub(crate) fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, bytes: Vec::new(), held: String::new() }
    }

    /// Takes the bytes of the next token.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Piece {
        self.bytes.extend_from_slice(bytes);
        self.decode(false);
        self.settle(false)
    }

    /// Gives out what was held back, at the end of the text.
    pub(crate) fn finish(&mut self) -> Piece {
        self.decode(true);
        self.settle(true)
    }

    fn decode(&mut self, at_end: bool) {
        let mut rest = std::mem::take(&mut self.bytes);
        loop {
            match std::str::from_utf8(&rest) {
                Ok(text) => {
                    self.held.push_str(text);
                    return;
                }
                Err(error) => {
                    let valid = error.valid_up_to();
                    self.held.push_str(&String::from_utf8_lossy(&rest[..valid]));
                    match error.error_len() {
                        Some(length) => {
                            self.held.push(char::REPLACEMENT_CHARACTER);
                            rest.drain(..valid + length);
                        }
                        None if at_end => {
                            self.held.push(char::REPLACEMENT_CHARACTER);
                            return;
                        }
                        None => {
                            rest.drain(..valid);
                            self.bytes = rest;
                            return;
                        }
                    }
                }
            }
        }
    }

    fn settle(&mut self, at_end: bool) -> Piece {
        if let Some(start) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(start);
            return Piece::Stop(std::mem::take(&mut self.held));
        }
        let keep = if at_end { 0 } else { self.undecided() };
        let rest = self.held.split_off(self.held.len() - keep);
        Piece::Text(std::mem::replace(&mut self.held, rest))
    }

    /// Length of the longest end of the held text that is the beginning of a stop text.
    fn undecided(&self) -> usize {
        self.stops
            .iter()
            .flat_map(|stop| stop.char_indices().map(|(at, _)| &stop[..at]).skip(1))
            .filter(|beginning| self.held.ends_with(beginning))
            .map(str::len)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], tokens: &[&[u8]]) -> (Vec<String>, bool) {
        let stops: Vec<String> = stops.iter().map(|&stop| stop.to_owned()).collect();
        let mut pieces = Pieces::new(&stops);
        let mut shown = Vec::new();
        for token in tokens {
            match pieces.push(token) {
                Piece::Text(text) => shown.push(text),
                Piece::Stop(text) => {
                    shown.push(text);
                    return (shown, true);
                }
            }
        }
        match pieces.finish() {
            Piece::Text(text) => shown.push(text),
            Piece::Stop(text) => {
                shown.push(text);
                return (shown, true);
            }
        }
        (shown, false)
    }

    #[test]
    fn a_character_spread_over_tokens_comes_whole() {
        let (shown, _) = run(&[], &[b"a\xf0\x9f", b"\x98", b"\x80b"]);
        assert_eq!(shown, ["a", "", "😀b", ""]);
    }

    #[test]
    fn bytes_that_are_no_text_become_replacement_characters() {
        let (shown, _) = run(&[], &[b"a\xffb", b"\xe2\x82"]);
        assert_eq!(shown.concat(), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn nothing_of_a_stop_text_is_shown_even_when_it_comes_in_parts() {
        let (shown, stopped) = run(&["\n\nQ:"], &[b"yes\n", b"\n", b"Q", b": more"]);
        assert!(stopped);
        assert_eq!(shown.concat(), "yes");
    }

    #[test]
    fn what_only_looked_like_a_stop_text_is_shown_later() {
        let (shown, stopped) = run(&["END"], &[b"an E", b"N", b"d"]);
        assert!(!stopped);
        assert_eq!(shown, ["an ", "", "ENd", ""]);
    }

    #[test]
    fn the_earliest_of_several_stop_texts_ends_it() {
        let (shown, stopped) = run(&["later", "now", ""], &[b"well now and later"]);
        assert!(stopped);
        assert_eq!(shown.concat(), "well ");
    }

    proptest! {
        #[test]
        fn any_cut_of_a_text_into_tokens_gives_the_text_back(text in "[aé日😀E-]{0,40}", cuts in proptest::collection::vec(0_usize..200, 0..12)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let tokens: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let (shown, stopped) = run(&["E-é"], &tokens);
            match text.find("E-é") {
                Some(at) => {
                    prop_assert!(stopped);
                    prop_assert_eq!(shown.concat(), &text[..at]);
                }
                None => {
                    prop_assert!(!stopped);
                    prop_assert_eq!(shown.concat(), text);
                }
            }
        }
    }
}
