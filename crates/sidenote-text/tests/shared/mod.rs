//! What several test files build their input with.

use std::io::{Cursor, Write};

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// A zip of the given members, the same at any time of day. What tells a book or an OpenDocument file is not compressed.
pub(crate) fn zip_of<T: AsRef<[u8]>>(members: &[(&str, T)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let is_mark = *name == "mimetype";
        let method = if is_mark { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).expect("starts");
        writer.write_all(bytes.as_ref()).expect("writes");
    }
    writer.finish().expect("finishes").into_inner()
}
