//! Documents as resources: `sidenote://document/ID` is a stored text, `?start=&end=` behind it a stretch of one.

use axum::http::StatusCode;
use rmcp::{
    ErrorData,
    model::{
        ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate,
    },
};

use super::{
    super::{
        Server,
        api::{blocking, stretch},
        problem::Refusal,
    },
    fault, said, tools,
};
use crate::wire::Document;

/// Resources of a page of the list.
const PAGE: usize = 100;
/// Most bytes of a text that are given at a time. A longer one is read in stretches: nothing is cut off without a word.
const MAX_RESOURCE_BYTES: usize = 1 << 20;
/// A stored text is text, whatever its file was.
const MEDIA_TYPE: &str = "text/plain";
const SCHEME: &str = "sidenote://document/";

/// The documents in order of their numbers, which new ones continue: a page says the number that it ended with, and neither an
/// ingest nor a removal in between makes the next one miss anything.
pub(super) async fn list(server: &Server, cursor: Option<String>) -> Result<ListResourcesResult, ErrorData> {
    let after = match cursor.as_deref().map(str::parse::<i64>) {
        None => i64::MIN,
        Some(Ok(after)) => after,
        Some(Err(_)) => {
            return Err(fault(&Refusal::field("cursor", "it is none that this server gave").hint("begin without one")));
        }
    };
    let collection = server.collection_of(None);
    let listed = blocking(server, move |engine| engine.documents(collection.as_deref())).await;
    let mut documents = listed.map_err(|refusal| fault(&refusal))?;
    documents.retain(|document| document.id.0 > after);
    documents.sort_unstable_by_key(|document| document.id);
    let is_last = documents.len() <= PAGE;
    documents.truncate(PAGE);
    let last = documents.last().map(|document| document.id.0.to_string());
    let mut result = ListResourcesResult::with_all_items(documents.iter().map(|one| resource(&one.into())).collect());
    result.next_cursor = last.filter(|_| !is_last);
    Ok(result)
}

fn resource(document: &Document) -> Resource {
    let file = document.path.rsplit('/').next().unwrap_or_default();
    let name = document.part.as_deref().unwrap_or(file);
    let resource =
        Resource::new(said::uri(document), name).with_mime_type(MEDIA_TYPE).with_description(said::named(document));
    match &document.title {
        Some(title) => resource.with_title(title),
        None => resource,
    }
}

pub(super) fn templates() -> ListResourceTemplatesResult {
    let description =
        "The stored text of a document, or the bytes of it from `start` to `end`, as in the span of a note.";
    let template = ResourceTemplate::new(format!("{SCHEME}{{id}}{{?start,end}}"), "document")
        .with_title("A document")
        .with_description(description)
        .with_mime_type(MEDIA_TYPE);
    ListResourceTemplatesResult::with_all_items(vec![template])
}

pub(super) async fn read(server: &Server, uri: String) -> Result<ReadResourceResult, ErrorData> {
    let Address { id, start, end } = Address::parse(&uri).map_err(|refusal| fault(&refusal))?;
    let is_bounded = end.is_some_and(|end| end.saturating_sub(start.unwrap_or(0)) <= MAX_RESOURCE_BYTES as u64);
    let span = stretch(start, end, MAX_RESOURCE_BYTES).map_err(|refusal| fault(&refusal))?;
    let read = tools::text_of(server, id, span).await.map_err(|refusal| fault(&refusal))?;
    let Some(read) = read else { return Err(fault(&tools::no_such_document())) };
    if !is_bounded && read.end < read.total_bytes {
        let problem = format!("the text has {} bytes, and {MAX_RESOURCE_BYTES} are given at a time", read.total_bytes);
        let hint = format!("read it in stretches, `{SCHEME}{id}?start=0&end={MAX_RESOURCE_BYTES}` and so on");
        return Err(fault(&Refusal::field("uri", &problem).hint(hint)));
    }
    Ok(ReadResourceResult::new(vec![ResourceContents::text(read.text, uri).with_mime_type(MEDIA_TYPE)]))
}

/// What a resource's address names.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    id: i64,
    start: Option<u64>,
    end: Option<u64>,
}

impl Address {
    fn parse(uri: &str) -> Result<Self, Refusal> {
        let wrong = || {
            let detail = "the address is none of a document";
            Refusal::new(StatusCode::NOT_FOUND, "not_found", detail).hint(format!(
                "write `{SCHEME}ID`, or `{SCHEME}ID?start=0&end=1000`; `resources/list` says which there are"
            ))
        };
        let rest = uri.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let (id, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut address = Self { id: id.parse().map_err(|_| wrong())?, start: None, end: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, bytes) = pair.split_once('=').ok_or_else(wrong)?;
            let bytes = Some(bytes.parse().map_err(|_| wrong())?);
            match name {
                "start" => address.start = bytes,
                "end" => address.end = bytes,
                _ => return Err(wrong()),
            }
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_document_and_a_stretch_of_it() {
        let parsed = |uri: &str| Address::parse(uri).ok().map(|Address { id, start, end }| (id, start, end));
        assert_eq!(parsed("sidenote://document/4"), Some((4, None, None)));
        assert_eq!(parsed("sidenote://document/4?start=7&end=9"), Some((4, Some(7), Some(9))));
        for wrong in [
            "",
            "file:///etc/passwd",
            "sidenote://document/",
            "sidenote://document/4/../5",
            "sidenote://document/x",
            "sidenote://document/4?start=-1",
            "sidenote://document/4?start",
            "sidenote://document/4?from=1",
            "sidenote://document/99999999999999999999",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
