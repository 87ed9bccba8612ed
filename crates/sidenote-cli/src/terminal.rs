//! What a terminal is given: harmless text, lines of its width, colours only where they are wanted.
//!
//! Text from documents, file names and models is hostile: it may hold escape sequences that move the cursor, retitle the
//! window or hide lines, and characters that change the reading direction. All of it passes [`one_line`] on its way out.

use std::io::{self, IsTerminal, Write};

use console::{Term, measure_text_width, strip_ansi_codes};

/// White space folded to single spaces; control characters and characters that change the direction of text, or hide in
/// it, made visible.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(harmless));
    }
    line
}

fn harmless(character: char) -> char {
    match character {
        // The pictures of the control characters follow their order.
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7f}' => '␡',
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200b}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}

/// Standard output as it is: a terminal or not, wide or narrow, with colours or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Whether a person reads it as it comes.
    pub(crate) is_terminal: bool,
    /// Whether it may be coloured.
    pub(crate) colors: bool,
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
}

impl Terminal {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        let is_terminal = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let (height, width) = Term::stdout().size();
        Self {
            is_terminal,
            colors: is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            // One column is left free: a full line makes some terminals wrap and others not.
            width: if is_terminal { usize::from(width).clamp(21, 121) - 1 } else { usize::MAX },
            height: usize::from(height).max(4),
        }
    }

    fn styled(self, code: &str, text: &str) -> String {
        if self.colors && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Stands back.
    pub(crate) fn dim(self, text: &str) -> String {
        self.styled("2", text)
    }

    /// Stands out.
    pub(crate) fn bold(self, text: &str) -> String {
        self.styled("1", text)
    }

    /// Leads the eye: note numbers, ranks.
    pub(crate) fn accent(self, text: &str) -> String {
        self.styled("36", text)
    }

    /// `text` as one line, in which the words of `short` stand out.
    pub(crate) fn emphasised(self, text: &str, short: Option<&str>) -> String {
        let line = one_line(text);
        let short = short.map(one_line).filter(|short| !short.is_empty());
        let Some((before, short, after)) = short.and_then(|short| {
            let at = line.find(&short)?;
            Some((&line[..at], &line[at..at + short.len()], &line[at + short.len()..]))
        }) else {
            return line;
        };
        // Word by word, so that lines can be broken between them.
        let words: Vec<String> = short.split(' ').map(|word| self.bold(word)).collect();
        format!("{before}{}{after}", words.join(" "))
    }

    /// `text`, one line already, wrapped and indented by `indent` columns.
    pub(crate) fn indented(self, text: &str, indent: usize) -> String {
        let margin = " ".repeat(indent);
        let lines = wrap(text, 0, self.width.saturating_sub(indent));
        lines.iter().map(|line| format!("{margin}{line}")).collect::<Vec<_>>().join("\n")
    }
}

/// Cuts `text` into lines of at most `width` columns; the first continues a line that is `column` wide already, and
/// begins with the space that parts the two.
pub(crate) fn wrap(text: &str, column: usize, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let mut used = column;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word_width = measure_text_width(word);
        let line = lines.len() - 1;
        if used > 0 && used + 1 + word_width <= width {
            lines[line].push(' ');
            lines[line].push_str(word);
            used += 1 + word_width;
            continue;
        }
        if used > 0 {
            lines.push(String::new());
            used = 0;
        }
        if word_width <= width {
            if let Some(line) = lines.last_mut() {
                line.push_str(word);
            }
            used += word_width;
            continue;
        }
        // No style survives where a word is longer than a line.
        for character in strip_ansi_codes(word).chars() {
            let character_width = measure_text_width(character.encode_utf8(&mut [0; 4]));
            if used > 0 && used + character_width > width {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(character);
            }
            used += character_width;
        }
    }
    lines
}

/// An answer on a terminal: the draft stands dimmed behind the checked text and is redrawn, settled or taken back.
pub(crate) struct Draft<W> {
    out: W,
    terminal: Terminal,
    draft: String,
    drawn_rows: usize,
    column: usize,
}

impl<W: Write> Draft<W> {
    /// An empty answer at the beginning of a line.
    pub(crate) fn new(out: W, terminal: Terminal) -> Self {
        Self { out, terminal, draft: String::new(), drawn_rows: 0, column: 0 }
    }

    /// More draft.
    pub(crate) fn extend(&mut self, text: &str) -> io::Result<()> {
        self.draft.push_str(text);
        let erase = self.erase();
        self.redraw(erase)
    }

    /// `sentence`, one line with its note numbers, takes the place of the draft.
    pub(crate) fn settle(&mut self, sentence: &str) -> io::Result<()> {
        let mut drawing = self.erase();
        let lines = wrap(sentence, self.column, self.terminal.width);
        let last = lines.last().map_or(0, |line| measure_text_width(line));
        self.column = if lines.len() == 1 { self.column + last } else { last };
        drawing.push_str(&lines.join("\n"));
        self.draft.clear();
        self.redraw(drawing)
    }

    /// The draft is taken back.
    pub(crate) fn retract(&mut self) -> io::Result<()> {
        let drawing = self.erase();
        self.draft.clear();
        self.redraw(drawing)
    }

    /// The end: what is left of the draft goes, the line ends. Hands back the writer.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.retract()?;
        if self.column > 0 {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()?;
        Ok(self.out)
    }

    fn erase(&mut self) -> String {
        let mut moves = String::new();
        if !self.draft.is_empty() || self.drawn_rows > 0 {
            if self.drawn_rows > 0 {
                moves.push_str(&format!("\u{1b}[{}A", self.drawn_rows));
            }
            moves.push('\r');
            if self.column > 0 {
                moves.push_str(&format!("\u{1b}[{}C", self.column));
            }
            moves.push_str("\u{1b}[J");
        }
        self.drawn_rows = 0;
        moves
    }

    fn redraw(&mut self, mut drawing: String) -> io::Result<()> {
        let mut lines = wrap(&one_line(&self.draft), self.column, self.terminal.width);
        // What has scrolled off the top could not be erased.
        lines.truncate(self.terminal.height.saturating_sub(2).max(1));
        self.drawn_rows = lines.len() - 1;
        let lines: Vec<String> = lines.iter().map(|line| self.terminal.dim(line)).collect();
        drawing.push_str(&lines.join("\n"));
        self.out.write_all(drawing.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_direction_changes_arrive_harmless() {
        let hostile = "a\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}txt\u{2066}\u{200b}\r\n\tb\u{7f}\u{e0041}";
        assert_eq!(one_line(hostile), "a␛[2J␛]0;title␇\u{fffd}31m\u{fffd}txt\u{fffd}\u{fffd} b␡\u{fffd}");
        assert!(one_line(hostile).chars().all(|character| !character.is_control()));
    }

    #[test]
    fn lines_keep_to_the_width_and_lose_no_word() {
        for width in 1..30 {
            for column in 0..=width {
                let text = "the quick 狐 jumps over supercalifragilistic dogs";
                let lines = wrap(text, column, width);
                assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
                for (at, line) in lines.iter().enumerate() {
                    let used = measure_text_width(line) + if at == 0 { column } else { 0 };
                    assert!(used <= width.max(2) || line.chars().count() == 1, "{width} {column} {lines:?}");
                }
            }
        }
    }

    #[test]
    fn the_words_that_answer_stand_out_and_lines_break_between_them() {
        let terminal = Terminal { is_terminal: true, colors: true, width: 20, height: 20 };
        let text = terminal.emphasised("It ends on\n31 March 2027, at noon.", Some("31 March\u{1b} 2027"));
        assert_eq!(text, "It ends on 31 March 2027, at noon.", "what is not there to the letter is not looked for");
        let text = terminal.emphasised("It ends on\n31 March 2027, at noon.", Some("31 March 2027"));
        let bold = |word: &str| format!("\u{1b}[1m{word}\u{1b}[0m");
        assert_eq!(text, format!("It ends on {} {} {}, at noon.", bold("31"), bold("March"), bold("2027")));
        let lines = wrap(&text, 0, 14);
        let second = format!("{} {}, at", bold("March"), bold("2027"));
        assert_eq!(lines, [format!("It ends on {}", bold("31")), second, "noon.".to_owned()]);
        let narrow = wrap(&bold("supercalifragilistic"), 0, 10);
        assert_eq!(narrow, ["supercalif", "ragilistic"]);
        let plain = Terminal { colors: false, ..terminal };
        assert_eq!(plain.emphasised("It ends on 31 March.", Some("31 March")), "It ends on 31 March.");
    }

    /// A terminal of one page that knows what `Draft` sends.
    fn shown(bytes: &[u8]) -> Vec<String> {
        let text = std::str::from_utf8(bytes).unwrap();
        let (mut rows, mut row, mut column) = (vec![Vec::<char>::new()], 0_usize, 0_usize);
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\n' => {
                    row += 1;
                    column = 0;
                    if rows.len() <= row {
                        rows.push(Vec::new());
                    }
                }
                '\r' => column = 0,
                '\u{1b}' => {
                    assert_eq!(characters.next(), Some('['));
                    let mut number = String::new();
                    let last = loop {
                        let next = characters.next().unwrap();
                        if !next.is_ascii_digit() {
                            break next;
                        }
                        number.push(next);
                    };
                    let number = number.parse().unwrap_or(0);
                    match last {
                        'A' => row -= number,
                        'C' => column += number,
                        'J' => {
                            rows.truncate(row + 1);
                            rows[row].truncate(column);
                        }
                        'm' => {}
                        other => panic!("sent {other}"),
                    }
                }
                other => {
                    let width = column.max(rows[row].len());
                    rows[row].resize(width, ' ');
                    if column < rows[row].len() {
                        rows[row][column] = other
                    } else {
                        rows[row].push(other)
                    }
                    column += 1;
                }
            }
        }
        rows.into_iter().map(|row| row.into_iter().collect::<String>().trim_end().to_owned()).collect()
    }

    #[test]
    fn a_draft_is_settled_in_place_and_a_retracted_one_leaves_nothing() {
        let terminal = Terminal { is_terminal: true, colors: true, width: 20, height: 24 };
        let mut bytes = Vec::new();
        let mut draft = Draft::new(&mut bytes, terminal);
        for piece in ["The head of fin", "ance appro", "ves travel expenses."] {
            draft.extend(piece).unwrap();
        }
        draft.settle("The head of finance approves travel expenses. [1]").unwrap();
        for piece in [" The moon is", " made of old green cheese and \u{1b}[2J"] {
            draft.extend(piece).unwrap();
        }
        draft.retract().unwrap();
        draft.extend(" Above 500 euro").unwrap();
        draft.settle("Above 500 euros the board does. [2]").unwrap();
        draft.finish().unwrap();
        assert_eq!(
            shown(&bytes),
            ["The head of finance", "approves travel", "expenses. [1] Above", "500 euros the board", "does. [2]", ""]
        );
    }

    #[test]
    fn a_draft_higher_than_the_screen_is_cut_so_that_it_can_be_erased() {
        let terminal = Terminal { is_terminal: true, colors: false, width: 10, height: 5 };
        let mut bytes = Vec::new();
        let mut draft = Draft::new(&mut bytes, terminal);
        draft.extend(&"word ".repeat(60)).unwrap();
        draft.settle("Short.").unwrap();
        draft.finish().unwrap();
        assert_eq!(shown(&bytes), ["Short.", ""]);
    }
}
