//! Program code: the stored text is the file; functions, classes and modules are headings, so that chunks end where they do
//! and a passage is named by the way to it: `Extractor > read`.
//!
//! Seam for `tree-sitter` and its grammars. They read any text and mark what they do not understand; the parser does not
//! recurse and is stopped when it takes too long, as it may where a file is broken all over. Then, and for files too large for
//! a tree, there are no headings and the text stands all the same. Its last step asks nobody whether to go on: on 64 KiB of
//! `x=>` read as Java or C it takes minutes, which only the process that extraction runs in bounds. A file of a language without a grammar here is text.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{Language, Node, ParseOptions, Parser};

use crate::markdown::{fold_white, trim};
use crate::plain::of_markup;
use crate::{Document, ExtractError, ExtractLimits, Format, Heading, Span};

/// Larger files are stored without headings; a tree takes many times the bytes of its text.
const MAX_TREE_BYTES: usize = 4 << 20;
/// How long a file is parsed.
const MAX_PARSE_TIME: Duration = Duration::from_secs(5);
/// Containers inside of each other that are looked into, and the bound of the recursion.
const MAX_DEPTH: usize = 32;
/// How much of a line is looked at.
const MAX_LINE_BYTES: usize = 1_000;
/// Longest title made of a line of code.
const MAX_TITLE_CHARS: usize = 100;

/// Whether files of this extension have a grammar.
pub(crate) fn is_known(extension: &str) -> bool {
    language_of(extension).is_some()
}

fn language_of(extension: &str) -> Option<Language> {
    Some(match extension {
        "rs" => tree_sitter_rust::LANGUAGE.into(),
        "py" | "pyi" | "pyw" => tree_sitter_python::LANGUAGE.into(),
        "js" | "mjs" | "cjs" | "jsx" => tree_sitter_javascript::LANGUAGE.into(),
        "ts" | "mts" | "cts" => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
        "tsx" => tree_sitter_typescript::LANGUAGE_TSX.into(),
        "java" => tree_sitter_java::LANGUAGE.into(),
        "go" => tree_sitter_go::LANGUAGE.into(),
        "c" => tree_sitter_c::LANGUAGE.into(),
        "h" | "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => tree_sitter_cpp::LANGUAGE.into(),
        _ => return None,
    })
}

/// Reads a file of program code.
pub(crate) fn read(bytes: &[u8], extension: &str, limits: &ExtractLimits) -> Result<Document, ExtractError> {
    let mut document = of_markup(Format::Code, bytes, limits, |text| headings_of(text, extension).unwrap_or_default())?;
    // The first function does not name the file.
    document.title = None;
    Ok(document)
}

fn headings_of(text: &str, extension: &str) -> Option<Vec<Heading>> {
    if text.len() > MAX_TREE_BYTES {
        return None;
    }
    let mut parser = Parser::new();
    parser.set_language(&language_of(extension)?).ok()?;
    let start = Instant::now();
    let mut stop = |_: &tree_sitter::ParseState| {
        if start.elapsed() > MAX_PARSE_TIME { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let bytes = text.as_bytes();
    let mut rest = |at: usize, _: tree_sitter::Point| bytes.get(at..).unwrap_or_default();
    let options = ParseOptions::new().progress_callback(&mut stop);
    let tree = parser.parse_with_options(&mut rest, None, Some(options))?;
    let mut outline = Outline { text, headings: Vec::new() };
    outline.take_children(tree.root_node(), 0, 0);
    Some(outline.in_order())
}

/// What a piece of code is to the outline.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has a name.
    Leaf,
    /// It has a name, and what is in it has names of its own.
    Container,
    /// Only what is in it counts: an export, a decorator, a template, a condition of the preprocessor.
    Wrapper,
    /// It goes with what follows it.
    Lead,
    Other,
}

fn kind_of(node: Node<'_>) -> Kind {
    match node.kind() {
        "function_item"
        | "function_definition"
        | "function_declaration"
        | "generator_function_declaration"
        | "method_definition"
        | "method_declaration"
        | "constructor_declaration"
        | "struct_item"
        | "enum_item"
        | "union_item"
        | "macro_definition"
        | "enum_declaration"
        | "union_specifier"
        | "enum_specifier"
        | "type_definition"
        | "type_alias_declaration"
        | "type_declaration"
        | "record_declaration"
        | "annotation_type_declaration"
        | "variable_declarator" => Kind::Leaf,
        "impl_item"
        | "trait_item"
        | "mod_item"
        | "class_definition"
        | "class_declaration"
        | "abstract_class_declaration"
        | "interface_declaration"
        | "internal_module"
        | "module"
        | "class_specifier"
        | "struct_specifier"
        | "namespace_definition" => Kind::Container,
        "export_statement"
        | "decorated_definition"
        | "template_declaration"
        | "ambient_declaration"
        | "linkage_specification"
        | "declaration_list"
        | "expression_statement"
        | "lexical_declaration"
        | "variable_declaration"
        | "preproc_ifdef"
        | "preproc_if"
        | "preproc_else"
        | "ERROR" => Kind::Wrapper,
        "line_comment" | "block_comment" | "comment" | "attribute_item" | "decorator" => Kind::Lead,
        _ => Kind::Other,
    }
}

struct Outline<'a> {
    text: &'a str,
    headings: Vec<Heading>,
}

impl Outline<'_> {
    /// Goes through the children of a node. `depth` counts the names above, `nesting` the calls.
    fn take_children(&mut self, node: Node<'_>, depth: usize, nesting: usize) -> bool {
        if nesting > MAX_DEPTH {
            return false;
        }
        // Where the comments and attributes before a declaration begin.
        let mut lead: Option<usize> = None;
        let mut last_end = node.start_byte();
        // Code behind a declaration would be taken for a part of it, so it gets a heading: its own first line.
        let mut is_behind = false;
        let mut found = false;
        let mut cursor = node.walk();
        for child in node.children(&mut cursor) {
            let gap =
                Span::new(last_end.min(child.start_byte()), child.start_byte()).slice(self.text).unwrap_or_default();
            let breaks = gap.matches('\n').count();
            last_end = child.end_byte();
            let kind = kind_of(child);
            if kind == Kind::Lead {
                // A comment behind code on its line goes with that; an empty line parts a comment from what follows.
                if breaks > 0 || lead.is_some() || child.start_byte() == node.start_byte() {
                    lead = lead.filter(|_| breaks < 2).or(Some(child.start_byte()));
                }
                continue;
            }
            let start = lead.take().filter(|_| breaks < 2).unwrap_or(child.start_byte());
            let is_declared = match kind {
                Kind::Leaf | Kind::Container => self.take(child, kind, start, depth, nesting),
                Kind::Wrapper => {
                    let before = self.headings.len();
                    let is_declared = self.take_children(child, depth, nesting + 1);
                    // The first declaration in it begins where the wrapper does.
                    if let Some(first) = self.headings.get_mut(before) {
                        first.span.start = first.span.start.min(start);
                    }
                    is_declared
                }
                Kind::Lead | Kind::Other => false,
            };
            if is_declared {
                is_behind = true;
                found = true;
            } else if is_behind && child.is_named() {
                let end = self.line_end(child.start_byte());
                let title = Span::new(child.start_byte(), end).slice(self.text).unwrap_or_default().to_owned();
                self.push(&title, start, end, depth);
                is_behind = false;
            }
        }
        found
    }

    /// Writes the heading of a declaration, and those in it. False where it is none.
    fn take(&mut self, node: Node<'_>, kind: Kind, start: usize, depth: usize, nesting: usize) -> bool {
        let body = body_of(node);
        let needs_body = kind == Kind::Container
            || matches!(node.kind(), "variable_declarator" | "enum_specifier" | "union_specifier");
        if needs_body && body.is_none() {
            return false;
        }
        let Some(title) = self.title_of(node, body) else { return false };
        let end = match body {
            Some(body) if body.start_byte() > node.start_byte() => {
                let opens = self.text.as_bytes().get(body.start_byte()) == Some(&b'{');
                body.start_byte() + usize::from(opens)
            }
            _ => self.line_end(node.start_byte()).min(node.end_byte()),
        };
        self.push(&title, start, end, depth);
        if let Some(body) = body.filter(|_| kind == Kind::Container) {
            self.take_children(body, depth + 1, nesting + 1);
        }
        true
    }

    /// What a declaration is called.
    fn title_of(&self, node: Node<'_>, body: Option<Node<'_>>) -> Option<String> {
        let words = |from: usize, to: usize| self.text.get(from..to).map(fold_white).filter(|words| !words.is_empty());
        let of = |node: Node<'_>| words(node.start_byte(), node.end_byte());
        match node.kind() {
            // An implementation has no name of its own: its head says of what for what.
            "impl_item" => words(node.start_byte(), body?.start_byte()),
            "type_declaration" => {
                let mut cursor = node.walk();
                let first = node.named_children(&mut cursor).find_map(|spec| spec.child_by_field_name("name"));
                of(first?)
            }
            "method_declaration" if node.child_by_field_name("receiver").is_some() => {
                let (receiver, name) = (node.child_by_field_name("receiver")?, node.child_by_field_name("name")?);
                Some(format!("{} {}", of(receiver)?, of(name)?))
            }
            _ => match node.child_by_field_name("name") {
                Some(name) => of(name),
                // In C the name is inside of the declarators around it.
                None => {
                    let mut name = node.child_by_field_name("declarator")?;
                    for _ in 0..MAX_DEPTH {
                        let Some(inner) = name.child_by_field_name("declarator") else { break };
                        name = inner;
                    }
                    of(name)
                }
            },
        }
    }

    fn line_end(&self, start: usize) -> usize {
        // All of a program may stand on one line, and its end be asked for at every statement.
        let limit = self.text.floor_char_boundary(start + MAX_LINE_BYTES);
        let rest = self.text.get(start..limit).unwrap_or_default();
        start + rest.find(['\n', '\r']).unwrap_or(rest.len())
    }

    fn push(&mut self, title: &str, start: usize, end: usize, depth: usize) {
        let title: String = fold_white(title).chars().take(MAX_TITLE_CHARS).collect();
        let span = trim(self.text, Span::new(start.min(end), end));
        if !title.is_empty() && span.slice(self.text).is_some() {
            self.headings.push(Heading { level: u8::try_from(depth + 1).unwrap_or(6).min(6), title, span });
        }
    }

    /// The headings by their place, none reaching into the next.
    fn in_order(self) -> Vec<Heading> {
        let mut headings = self.headings;
        headings.sort_by_key(|heading| (heading.span.start, heading.level));
        let starts: Vec<usize> = headings.iter().skip(1).map(|heading| heading.span.start).collect();
        for (heading, next) in headings.iter_mut().zip(starts) {
            let end = heading.span.end.min(next).max(heading.span.start);
            heading.span = trim(self.text, Span::new(heading.span.start, end));
        }
        headings.retain(|heading| !heading.span.is_empty());
        headings
    }
}

/// What stands in the braces of a declaration, or under its head.
fn body_of(node: Node<'_>) -> Option<Node<'_>> {
    if node.kind() == "variable_declarator" {
        let value = node.child_by_field_name("value")?;
        let is_function = matches!(value.kind(), "arrow_function" | "function_expression" | "function" | "class");
        return value.child_by_field_name("body").filter(|_| is_function);
    }
    node.child_by_field_name("body")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(extension: &str, source: &str) -> Vec<(u8, String, String)> {
        let document = read(source.as_bytes(), extension, &ExtractLimits::default()).expect("reads");
        assert_eq!((document.text.as_str(), document.title), (source, None));
        let span = |heading: &Heading| heading.span.slice(source).expect("in text").to_owned();
        document.headings.iter().map(|heading| (heading.level, heading.title.clone(), span(heading))).collect()
    }

    fn titles(extension: &str, source: &str) -> Vec<(u8, String)> {
        outline(extension, source).into_iter().map(|(level, title, _)| (level, title)).collect()
    }

    fn expect(extension: &str, source: &str, expected: &[(u8, &str)]) {
        let expected: Vec<(u8, String)> = expected.iter().map(|(level, title)| (*level, (*title).to_owned())).collect();
        assert_eq!(titles(extension, source), expected, "{extension}");
    }

    #[test]
    fn rust_comments_go_with_what_they_describe() {
        let source = "//! About.\n\nuse a::b;\n\n/// Reads.\n#[inline]\npub fn read(\n    a: u8,\n) -> u8 {\n    a\n}\n\nconst A: u8 = 1;\n\n\
                      impl<'a> Display for Error<'a> {\n    // Shows.\n    fn fmt(&self) {}\n}\n\nmod tests {\n    struct S;\n}\n";
        let found = outline("rs", source);
        let expected = [
            (1, "read", "/// Reads.\n#[inline]\npub fn read(\n    a: u8,\n) -> u8 {"),
            (1, "const A: u8 = 1;", "const A: u8 = 1;"),
            (1, "impl<'a> Display for Error<'a>", "impl<'a> Display for Error<'a> {"),
            (2, "fmt", "// Shows.\n    fn fmt(&self) {"),
            (1, "tests", "mod tests {"),
            (2, "S", "struct S;"),
        ];
        let expected: Vec<_> =
            expected.iter().map(|(level, title, span)| (*level, (*title).to_owned(), (*span).to_owned())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_language_has_its_outline() {
        expect(
            "py",
            "import a\n\n@cached\ndef one(x):\n    def inner():\n        pass\n    return x\n\nclass Two(Base):\n    def three(self):\n        pass\n\nif x:\n    one(1)\n",
            &[(1, "one"), (1, "Two"), (2, "three"), (1, "if x:")],
        );
        expect(
            "js",
            "export default class A {\n  b() {}\n}\nexport const c = () => { d(); };\nconst e = 1;\nfunction f() {}\n",
            &[(1, "A"), (2, "b"), (1, "c"), (1, "const e = 1;"), (1, "f")],
        );
        expect(
            "ts",
            "namespace N {\n  export interface I { a: string }\n}\ntype T = string;\nabstract class C<T> {\n  m(): void {}\n}\n",
            &[(1, "N"), (2, "I"), (1, "T"), (1, "C"), (2, "m")],
        );
        expect("tsx", "const App = () => { return <p>a</p>; };\n", &[(1, "App")]);
        expect(
            "java",
            "package a;\n\n/** Doc. */\npublic class A extends B {\n  int x;\n  A() {}\n  void b() {}\n  class C { void d() {} }\n}\n",
            &[(1, "A"), (2, "A"), (2, "b"), (2, "C"), (3, "d")],
        );
        expect(
            "go",
            "package a\n\ntype S struct { x int }\n\nfunc (s *S) Start(a int) error { return nil }\n\nfunc New() *S { return nil }\n",
            &[(1, "S"), (1, "(s *S) Start"), (1, "New")],
        );
        expect(
            "c",
            "#include <a.h>\n\nstruct point { int x; };\n\nstatic char *name(struct point *p) {\n  return 0;\n}\n",
            &[(1, "point"), (1, "name")],
        );
        expect(
            "hpp",
            "#ifndef A\n#define A\nnamespace n {\ntemplate <class T>\nclass C {\n public:\n  void m() {}\n};\nvoid C<int>::k() {}\n}\n#endif\n",
            &[(1, "n"), (2, "C"), (3, "m"), (2, "C<int>::k")],
        );
    }

    #[test]
    fn broken_and_endless_code_is_stored_all_the_same() {
        for extension in ["rs", "py", "js", "ts", "java", "go", "c", "cpp"] {
            for sign in ["{", "(", "fn a() {", "class A {", "if x:\n ", "\"", "/*", "<", "ä ", "a.", "\\\n", "#if\n"] {
                let source = format!("start {}", sign.repeat(15_000 / sign.len()));
                let document = read(source.as_bytes(), extension, &ExtractLimits::default()).expect("reads");
                assert_eq!(document.text, source);
            }
        }
    }
}
