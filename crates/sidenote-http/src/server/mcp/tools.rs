//! The tools: what each takes, what it does, what it tells.

use std::{pin::pin, sync::Arc};

use rmcp::{
    RoleServer,
    model::{JsonObject, ProgressNotificationParam, Tool, ToolAnnotations},
    service::RequestContext,
};
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use sidenote::{AskEvent, DocumentId, Span};
use tokio::sync::mpsc::unbounded_channel;

use super::{
    super::{
        Server,
        api::{MAX_TEXT_BYTES, answer, ask_request, blocking, find, stretch},
        problem::Refusal,
    },
    said,
};
use crate::{
    print::to_json,
    wire::{Answer, AskBody, Document, DocumentPage, DocumentText, FilterBody, SearchBody, SearchReport},
};

/// Most documents of one list, and how many there are where nobody says.
const MAX_DOCUMENTS: u64 = 1_000;
const DEFAULT_DOCUMENTS: u64 = 100;

/// The tools.
#[derive(Clone, Copy)]
pub(super) enum Named {
    Search,
    Ask,
    ReadDocument,
    ListDocuments,
}

const ALL: [Named; 4] = [Named::Search, Named::Ask, Named::ReadDocument, Named::ListDocuments];

/// What a tool tells: the value for programs, and the same to be read.
pub(super) struct Said {
    pub(super) value: Value,
    pub(super) texts: Vec<String>,
}

impl Said {
    fn new(value: &impl Serialize, texts: Vec<String>) -> Self {
        Self { value: to_json(value), texts }
    }
}

/// A question, as [`AskBody`] has it without its stream.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AskArguments {
    /// The question, in plain words.
    question: String,
    /// Most tokens of the answer, 1 to 4,096; by default `answer.max_tokens`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4096))]
    max_tokens: Option<u32>,
    /// Seed of sampling; by default `answer.seed`.
    #[serde(default)]
    seed: Option<u64>,
    /// `write` or `extract`: statements are quoted at once, no language model is asked. By default `answer.mode`.
    #[serde(default)]
    mode: Option<String>,
    /// Whether the language model reads the documents that `filter` lets through whole; a few short ones.
    #[serde(default)]
    whole: bool,
    /// Which documents.
    #[serde(default)]
    filter: Option<FilterBody>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReadArguments {
    /// Number of the document: `document.id` of a passage, of a note, or of the list.
    id: i64,
    /// First byte of the stored text, 0 by default; moved back to the beginning of its character.
    #[serde(default)]
    start: Option<u64>,
    /// One past the last byte; by default, and at most, 65,536 bytes after the first.
    #[serde(default)]
    end: Option<u64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListArguments {
    /// Only this collection.
    #[serde(default)]
    collection: Option<String>,
    /// Most documents, 1 to 1,000; by default 100.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u64>,
    /// How many of the first documents are left out, 0 by default: `next_offset` of the list before.
    #[serde(default)]
    offset: Option<u64>,
}

impl Named {
    fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Ask => "ask",
            Self::ReadDocument => "read_document",
            Self::ListDocuments => "list_documents",
        }
    }

    fn described(self) -> Tool {
        let (title, description, takes, gives) = match self {
            Self::Search => (
                "Search the documents",
                "Finds passages in the user's documents by words and by meaning. Each comes with its document, page, headings, span \
                 and text.",
                taken::<SearchBody>(),
                given::<SearchReport>(),
            ),
            Self::Ask => (
                "Ask the documents",
                "Answers a question from the user's documents, with a note for every sentence: document, page, headings, span and \
                 the document's own words; or says that the documents do not say. Takes some seconds.",
                taken::<AskArguments>(),
                given::<Answer>(),
            ),
            Self::ReadDocument => (
                "Read a document",
                "Gives the stored text of a document, or a stretch of it, 65,536 bytes at a time.",
                taken::<ReadArguments>(),
                given::<DocumentText>(),
            ),
            Self::ListDocuments => (
                "List the documents",
                "Lists the user's documents by path, with numbers, titles and collections.",
                taken::<ListArguments>(),
                given::<DocumentPage>(),
            ),
        };
        Tool::new(self.name(), description, takes)
            .with_title(title)
            .with_raw_output_schema(gives)
            .with_annotations(ToolAnnotations::new().read_only(true).open_world(false))
    }
}

/// Every tool, as a client is told of it.
pub(super) fn all() -> Vec<Tool> {
    ALL.into_iter().map(Named::described).collect()
}

pub(super) fn named(name: &str) -> Option<Named> {
    ALL.into_iter().find(|tool| tool.name() == name)
}

/// The names, for a sentence.
pub(super) fn names() -> String {
    ALL.map(|tool| format!("`{}`", tool.name())).join(", ")
}

/// The schema of arguments.
fn taken<T: JsonSchema>() -> Arc<JsonObject> {
    object::<T>(SchemaSettings::draft2020_12())
}

/// The schema of a result: as written, a field that may be null is still always there.
fn given<T: JsonSchema>() -> Arc<JsonObject> {
    object::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn object<T: JsonSchema>(mut settings: SchemaSettings) -> Arc<JsonObject> {
    // Clients hand these schemas on to language models' interfaces, some of which follow no references and know no format such
    // as uint32.
    settings.inline_subschemas = true;
    let settings = settings.with_transform(RecursiveTransform(|schema: &mut Schema| {
        schema.remove("format");
    }));
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(schema) => Arc::new(schema),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Arc::default(),
    }
}

/// Does what a tool does.
pub(super) async fn call(
    server: &Server,
    tool: Named,
    given: Option<JsonObject>,
    context: &RequestContext<RoleServer>,
) -> Result<Said, Refusal> {
    match tool {
        Named::Search => search(server, arguments(given)?).await,
        Named::Ask => ask(server, arguments(given)?, context).await,
        Named::ReadDocument => read_document(server, arguments(given)?).await,
        Named::ListDocuments => list_documents(server, arguments(given)?).await,
    }
}

/// Arguments, or which of them cannot be used.
fn arguments<T: DeserializeOwned>(given: Option<JsonObject>) -> Result<T, Refusal> {
    let given = Value::Object(given.unwrap_or_default());
    serde_path_to_error::deserialize(given).map_err(|error| {
        Refusal::unusable(&error, "object of arguments").hint("`tools/list` says what each tool takes")
    })
}

async fn search(server: &Server, body: SearchBody) -> Result<Said, Refusal> {
    let report = SearchReport::from(&find(server, body).await?);
    if report.hits.is_empty() {
        return Err(said::nothing_found(report.hint.as_deref()));
    }
    let text = said::hits(&report);
    Ok(Said::new(&report, vec![text]))
}

async fn ask(
    server: &Server,
    AskArguments { question, max_tokens, seed, mode, whole, filter }: AskArguments,
    context: &RequestContext<RoleServer>,
) -> Result<Said, Refusal> {
    let request =
        ask_request(server, AskBody { question, max_tokens, seed, mode, whole, filter, ..AskBody::default() })?;
    let admitted = server.inner.questions.admit()?;
    let _noted = server.inner.calls.note(context, &admitted.cancel);
    let (sender, mut heard) = unbounded_channel();
    let asking = server.clone();
    let mut answer = pin!(answer(admitted, move |cancel| {
        // Nobody hears of the last where the answer was quicker.
        let mut hear = |event: AskEvent<'_>| drop(said::progress(&event).map(|message| sender.send(message)));
        asking.ask(&request, &mut hear, cancel)
    }));
    let token = context.meta.get_progress_token();
    let mut steps = 0.0;
    let answer = loop {
        let message = tokio::select! {
            answer = &mut answer => break Answer::from(&answer?),
            Some(message) = heard.recv() => message,
        };
        // Who asked to be told is; a client that waits for so long and no longer then goes on waiting.
        if let Some(token) = &token {
            steps += 1.0;
            let progress = ProgressNotificationParam::new(token.clone(), steps).with_message(message);
            let _ = context.peer.notify_progress(progress).await;
        }
    };
    let text = said::answer(&answer);
    Ok(Said::new(&answer, vec![text]))
}

async fn read_document(server: &Server, asked: ReadArguments) -> Result<Said, Refusal> {
    let Some(read) = text_of(server, asked.id, stretch(asked.start, asked.end, MAX_TEXT_BYTES)?).await? else {
        return Err(no_such_document());
    };
    let head = said::head(&read);
    let text = read.text.clone();
    Ok(Said::new(&read, vec![head, text]))
}

/// A stretch of a document's stored text; `None` where there is no such document.
pub(super) async fn text_of(server: &Server, id: i64, span: Span) -> Result<Option<DocumentText>, Refusal> {
    let read = blocking(server, move |engine| engine.text(DocumentId(id), span)).await?;
    Ok(read.map(Into::into))
}

pub(super) fn no_such_document() -> Refusal {
    Refusal::not_found("document").hint("`list_documents` says which there are")
}

async fn list_documents(server: &Server, asked: ListArguments) -> Result<Said, Refusal> {
    let limit = asked.limit.unwrap_or(DEFAULT_DOCUMENTS);
    if !(1..=MAX_DOCUMENTS).contains(&limit) {
        return Err(Refusal::field("limit", &format!("`{limit}` is outside 1 to {MAX_DOCUMENTS}")));
    }
    let offset = asked.offset.unwrap_or(0);
    let collection = server.collection_of(asked.collection);
    let named = collection.clone();
    let (documents, status) = blocking(server, move |engine| {
        let documents = engine.documents(named.as_deref())?;
        let status = if documents.is_empty() { Some(engine.status(None)?) } else { None };
        Ok((documents, status))
    })
    .await?;
    if let Some(status) = status {
        let collections = status.collections.into_iter().map(|known| known.name);
        return Err(said::no_documents(collection.as_deref(), &collections.collect::<Vec<_>>()));
    }
    let total = documents.len() as u64;
    let index = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let documents: Vec<Document> =
        documents.iter().skip(index(offset)).take(index(limit)).map(Document::from).collect();
    let after = offset.saturating_add(documents.len() as u64);
    let next_offset = (after < total).then_some(after);
    if documents.is_empty() {
        return Err(Refusal::field("offset", &format!("there are {total} documents")).hint("begin at 0"));
    }
    let page = DocumentPage { documents, total, next_offset };
    let text = said::documents(&page);
    Ok(Said::new(&page, vec![text]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaint<T: DeserializeOwned>(value: Value) -> String {
        let Value::Object(given) = value else { panic!("no object") };
        said::sentence(&arguments::<T>(Some(given)).err().unwrap())
    }

    #[test]
    fn what_is_wrong_with_arguments_is_said_with_the_name_of_the_argument() {
        for (said, words) in [
            (complaint::<SearchBody>(json!({})), &["query"][..]),
            (complaint::<SearchBody>(json!({"query": 5})), &["`query`", "string"]),
            (complaint::<SearchBody>(json!({"query": "a", "qeury": "b"})), &["qeury", "query"]),
            (complaint::<SearchBody>(json!({"query": "a", "limit": "5"})), &["`limit`", "u32"]),
            (complaint::<SearchBody>(json!({"query": "a", "filter": {"languages": "de"}})), &["`filter.languages`"]),
            (complaint::<ReadArguments>(json!({"id": 1, "start": -1})), &["`start`"]),
        ] {
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
    }

    #[test]
    fn no_arguments_are_an_empty_object() {
        assert!(arguments::<ListArguments>(None).is_ok());
    }

    #[test]
    fn schemas_stand_alone_and_say_what_is_allowed() {
        for tool in all() {
            for schema in [Some(&tool.input_schema), tool.output_schema.as_ref()] {
                let text = serde_json::to_string(schema.unwrap()).unwrap();
                assert!(!text.contains("$ref") && !text.contains("\"format\""), "{}: {text}", tool.name);
                assert_eq!(schema.unwrap()["type"], "object", "{}", tool.name);
                assert_eq!(schema.unwrap()["additionalProperties"], false, "{}", tool.name);
            }
        }
        let search = &all()[0].input_schema["properties"];
        assert_eq!((&search["limit"]["minimum"], &search["limit"]["maximum"]), (&json!(1), &json!(1000)));
    }
}
