//! PDF pages without a text layer, read by the real tesseract.

use std::{path::Path, process::Command};

use super::{pdf, sandbox::Sandbox};

const TRAVEL: &str = "Hotel nights in Porto cost the board at most ninety euros";
const PARKING: &str = "The barrier of the parking deck opens with a yellow card";

/// A scan of two pages in a sandbox with models; `None`, and said so, where a program is missing.
#[expect(clippy::print_stderr, reason = "a skip must be seen")]
fn scan() -> Option<Sandbox> {
    let sandbox = Sandbox::with_models()?;
    let has_tesseract = Command::new("tesseract").arg("--version").output().is_ok();
    match pdf::scanned_pdf(&[TRAVEL, PARKING]).filter(|_| has_tesseract) {
        Some(bytes) => {
            sandbox.write("scan.pdf", bytes);
            Some(sandbox)
        }
        None => {
            assert!(std::env::var_os("SIDENOTE_REQUIRE_MODELS").is_none(), "tesseract and pdftoppm are wanted");
            eprintln!("SKIPPED: tesseract or pdftoppm is not installed");
            None
        }
    }
}

fn first_hit(sandbox: &Sandbox, query: &str) -> serde_json::Value {
    sandbox.json(["search", query, "--mode", "lexical"]).1["hits"][0].clone()
}

#[test]
fn a_scan_is_read_and_found_by_page() {
    let Some(sandbox) = scan() else { return };
    let run = sandbox.ingest();
    assert!(run.stderr.contains("page 1-2: no text layer, read by OCR"), "{run:?}");
    let hit = first_hit(&sandbox, "barrier parking");
    assert_eq!(hit["page"], 2, "{hit}");
    assert!(hit["text"].as_str().unwrap().contains(PARKING), "{hit}");
    // What was read is a text like any other: it is there the next time.
    assert_eq!(sandbox.json(["ingest", "docs"]).1["unchanged"], 1);
}

#[test]
fn a_scan_waits_for_tesseract_and_is_then_read_by_itself() {
    let Some(mut sandbox) = scan() else { return };
    let installed = sandbox.path().join("later/bin/tesseract");
    sandbox.set("SIDENOTE_INGEST_OCR_PROGRAM", &installed);
    for _ in 0..2 {
        let (code, report) = sandbox.json(["ingest", "docs"]);
        let reason = report["failed"][0]["reason"].as_str().unwrap();
        assert_eq!(code, 3, "{report}");
        assert_eq!(
            reason,
            "2 pages without a text layer; with `tesseract` installed such pages are read (`ingest.ocr`)"
        );
    }
    install_tesseract(&installed);
    assert_eq!(sandbox.json(["ingest", "docs"]).1["added"], 1);
    assert_eq!(first_hit(&sandbox, "Porto")["page"], 1);
}

#[test]
fn pages_that_wait_for_tesseract_are_read_by_themselves_in_files_that_were_read() {
    let Some(mut sandbox) = scan() else { return };
    let installed = sandbox.path().join("later/bin/tesseract");
    sandbox.set("SIDENOTE_INGEST_OCR_PROGRAM", &installed);
    fs_err::remove_file(sandbox.path().join("docs/scan.pdf")).unwrap();
    sandbox.write("mixed.pdf", pdf::scanned_after(&["The heron nests in the tower."], &[TRAVEL]).unwrap());
    sandbox.write("mail.eml", mail_with(&pdf::scanned_pdf(&[PARKING]).unwrap()));
    sandbox.write("plain.md", "Nothing here waits.\n");
    assert_eq!(sandbox.json(["ingest", "docs"]).1["added"], 3);
    assert_eq!(sandbox.json(["ingest", "docs"]).1["unchanged"], 3);
    install_tesseract(&installed);
    let report = sandbox.json(["ingest", "docs"]).1;
    assert_eq!((&report["updated"], &report["unchanged"]), (&2.into(), &1.into()), "{report}");
    assert_eq!(first_hit(&sandbox, "Porto")["page"], 2);
    assert!(first_hit(&sandbox, "barrier parking")["document"]["path"].as_str().unwrap().ends_with("mail.eml"));
    assert_eq!(sandbox.json(["ingest", "docs"]).1["unchanged"], 3, "once is enough");
}

#[test]
fn the_pages_of_one_file_have_a_time_together() {
    let Some(mut sandbox) = scan() else { return };
    let slow = sandbox.path().join("slow/bin/tesseract");
    fs_err::create_dir_all(slow.parent().unwrap()).unwrap();
    fs_err::write(&slow, "#!/bin/sh\nsleep 1.1\nexec tesseract \"$@\"\n").unwrap();
    make_executable(&slow);
    sandbox.set("SIDENOTE_INGEST_OCR_PROGRAM", &slow);
    sandbox.set("SIDENOTE_INGEST_OCR_TIMEOUT_SECONDS", "1");
    let run = sandbox.ingest();
    let warning =
        "page 2: no text layer, not read by OCR: the pages before it took 1 seconds (`ingest.ocr_timeout_seconds`)";
    assert!(run.stderr.contains(warning), "{run:?}");
    assert_eq!(first_hit(&sandbox, "Porto")["page"], 1);
}

fn install_tesseract(path: &Path) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, "#!/bin/sh\nexec tesseract \"$@\"\n").unwrap();
    make_executable(path);
}

/// A mail of one line with an attached PDF.
fn mail_with(attached: &[u8]) -> String {
    let attached = std::str::from_utf8(attached).unwrap();
    format!(
        "From: porter@example.org\r\nSubject: The deck\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=cut\r\n\r\n\
         --cut\r\nContent-Type: text/plain\r\n\r\nSee the notice.\r\n--cut\r\nContent-Type: application/pdf; name=notice.pdf\r\n\
         Content-Disposition: attachment; filename=notice.pdf\r\nContent-Transfer-Encoding: binary\r\n\r\n\
         {attached}\r\n--cut--\r\n"
    )
}

#[test]
fn a_language_that_is_not_installed_is_named() {
    let Some(mut sandbox) = scan() else { return };
    sandbox.set("SIDENOTE_INGEST_OCR_LANGUAGES", "tlh");
    let (code, report) = sandbox.json(["ingest", "docs"]);
    let reason = report["failed"][0]["reason"].as_str().unwrap();
    assert_eq!(code, 3, "{report}");
    assert!(reason.contains("`tlh`") && reason.contains("ingest.ocr_languages"), "{reason}");
    sandbox.set("SIDENOTE_INGEST_OCR_LANGUAGES", "../tlh");
    assert_eq!(sandbox.run(["ingest", "docs"]).code, 2);
}

/// What a picture that takes tesseract over could do: a program in its place tries, and reports as recognised text.
#[cfg(target_os = "linux")]
#[test]
fn the_ocr_program_reaches_no_file_of_the_user_and_writes_none() {
    let Some(mut sandbox) = scan() else { return };
    let elsewhere = tempfile::tempdir().unwrap();
    let program = elsewhere.path().join("ocr/bin/tesseract");
    let secret = sandbox.write("secret.txt", "The heron nests in the tower.\n");
    let marker = sandbox.path().join("marker");
    fs_err::create_dir_all(program.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\ncat >/dev/null\nprintf '4\\t1\\t1\\t1\\t1\\t0\\t0\\t9\\t99\\t9\\t-1\\t\\n'\n\
         word() {{ printf '5\\t1\\t1\\t1\\t1\\t1\\t0\\t9\\t9\\t9\\t9\\t%s\\n' \"$1\"; }}\n\
         word recognised\nif cat '{}' 2>/dev/null; then word reads; fi\n\
         if (: > '{}') 2>/dev/null; then word writes; fi\nif kill -0 $PPID 2>/dev/null; then word kills; fi\n",
        secret.display(),
        marker.display()
    );
    fs_err::write(&program, script).unwrap();
    make_executable(&program);
    sandbox.set("SIDENOTE_INGEST_OCR_PROGRAM", &program);
    sandbox.ingest();
    let hit = first_hit(&sandbox, "recognised");
    assert_eq!(hit["text"], "recognised", "{hit}");
    assert!(!marker.exists());
}

#[cfg(unix)]
fn make_executable(path: &Path) {
    fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}
