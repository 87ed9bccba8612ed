//! JSON Schema, made from the types.

use schemars::{JsonSchema, generate::SchemaSettings};

use crate::wire;

/// A named JSON Schema.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Name of its file in `schema/`, without the ending.
    pub name: &'static str,
    /// The schema, draft 2020-12.
    pub schema: serde_json::Value,
}

/// The schema of every value that leaves the program: one for each command, one for streamed events, one for errors.
pub fn schemas() -> Vec<Schema> {
    vec![
        schema::<wire::Answer>("ask"),
        schema::<wire::BackupReport>("backup"),
        schema::<wire::Chat>("chat"),
        schema::<wire::ChatList>("chats"),
        schema::<wire::ChatsDeleted>("chats_deleted"),
        schema::<wire::CompactReport>("compact"),
        schema::<wire::Completions>("completions"),
        schema::<wire::ConfigReport>("config"),
        schema::<wire::DoctorReport>("doctor"),
        schema::<wire::DocumentList>("documents"),
        schema::<wire::ErrorReport>("error"),
        schema::<wire::EvalReport>("eval"),
        schema::<wire::EvalAnswersReport>("eval_answers"),
        schema::<wire::EvalSetReport>("eval_init"),
        schema::<wire::AskEvent>("event"),
        schema::<wire::ExportReport>("export"),
        schema::<wire::ExportedDocument>("exported_document"),
        schema::<wire::IngestReport>("ingest"),
        schema::<wire::ModelList>("models"),
        schema::<wire::PinReport>("pin"),
        schema::<wire::RemoveReport>("remove"),
        schema::<wire::SearchReport>("search"),
        schema::<wire::Serving>("serve"),
        schema::<wire::Status>("status"),
    ]
}

fn schema<T: JsonSchema>(name: &'static str) -> Schema {
    // As written, not as read: a field that may be null is still always there.
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    Schema { name, schema: generator.into_root_schema_for::<T>().to_value() }
}
