//! PDF files built by hand, so that everything in them is known.

/// What stands on a page beside its text.
#[derive(Clone, Default)]
pub(crate) struct PageParts {
    /// The content stream.
    pub(crate) content: String,
    /// Further entries of the page's dictionary, such as `/Rotate 90`.
    pub(crate) entries: String,
}

/// A PDF with a text object a page, in a file without compression, whose bytes can be spoilt at known places.
pub(crate) fn pdf_with_pages(pages: &[&str]) -> Vec<u8> {
    let parts = |content: &&str| PageParts { content: (*content).to_owned(), entries: String::new() };
    pdf_with(&pages.iter().map(parts).collect::<Vec<_>>(), &[])
}

/// A PDF with `more` objects behind those of its pages. The font is object 3, the pages are 4, 6, 8 and so on.
pub(crate) fn pdf_with(pages: &[PageParts], more: &[String]) -> Vec<u8> {
    let mut objects: Vec<String> = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + page * 2)).collect();
    objects.push(format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()));
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned());
    for (page, PageParts { content, entries }) in pages.iter().enumerate() {
        let stream = 5 + page * 2;
        let own = entries.contains("/Resources");
        let resources = if own { "" } else { "/Resources << /Font << /F1 3 0 R >> >>" };
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {resources} /Contents {stream} 0 R {entries} >>"
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    objects.extend_from_slice(more);
    let mut bytes = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(bytes.len());
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let table = bytes.len();
    bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        bytes.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    let size = objects.len() + 1;
    bytes.extend(format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").bytes());
    bytes
}
