//! The committed schemas are those of the types. After a wanted change run the test once with
//! `SIDENOTE_UPDATE_SCHEMAS=1` and commit what it wrote.

use std::path::Path;

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let folder = Path::new("schema");
    let update = std::env::var_os("SIDENOTE_UPDATE_SCHEMAS").is_some();
    let mut names = Vec::new();
    for made in sidenote_http::schemas() {
        let path = folder.join(format!("{}.json", made.name));
        let text = format!("{}\n", serde_json::to_string_pretty(&made.schema).unwrap());
        if update {
            fs_err::write(&path, &text).unwrap();
        }
        let committed = fs_err::read_to_string(&path).unwrap();
        assert!(committed == text, "{} differs; see the first lines of this test's file", path.display());
        names.push(format!("{}.json", made.name));
    }
    let mut files: Vec<String> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, names, "schema files and types do not pair up");
}

#[test]
fn a_schema_refuses_a_missing_and_an_unknown_field() {
    let made = sidenote_http::schemas().into_iter().find(|made| made.name == "remove").unwrap();
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource(made.name, made.schema).unwrap();
    let compiled = compiler.compile(made.name, &mut schemas).unwrap();
    let is_valid = |value: serde_json::Value| schemas.validate(&value, compiled).is_ok();
    assert!(is_valid(serde_json::json!({"removed": 1, "purged": 0})));
    assert!(!is_valid(serde_json::json!({"removed": 1})));
    assert!(!is_valid(serde_json::json!({"removed": 1, "purged": 0, "other": 0})));
    assert!(!is_valid(serde_json::json!({"removed": -1, "purged": 0})));
}
