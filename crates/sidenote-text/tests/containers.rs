//! Mail and archives: what is in them becomes documents, and those made to break something give a warning or an error.

mod shared;

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use sidenote_text::{ExtractError, ExtractLimits, Extracted, SourceFile, extract};

fn read(name: &str, bytes: &[u8]) -> Result<Extracted, ExtractError> {
    extract(&SourceFile { name, bytes }, &ExtractLimits::default())
}

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    shared::zip_of(members)
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).expect("appends");
    }
    builder.into_inner().expect("finishes")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("writes");
    encoder.finish().expect("finishes")
}

fn parts(extracted: &Extracted) -> Vec<(&str, &str)> {
    let parts = extracted.documents.iter();
    parts.map(|document| (document.part.as_deref().unwrap_or_default(), document.text.as_str())).collect()
}

const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0";

#[test]
fn members_of_every_archive_are_documents() {
    let members: [(&str, &[u8]); 4] =
        [("a/b.md", b"# One\n"), ("c.txt", b"two"), ("logo.png", PICTURE), ("__MACOSX/._c.txt", b"litter")];
    let tar = tar_of(&members);
    for (name, bytes) in
        [("x.zip", zip_of(&members)), ("x.tar", tar.clone()), ("x.tar.gz", gzip(&tar)), ("x.tgz", gzip(&tar))]
    {
        let extracted = read(name, &bytes).expect("reads");
        assert_eq!(parts(&extracted), [("a/b.md", "# One\n"), ("c.txt", "two")], "{name}");
        assert_eq!(
            extracted.warnings,
            ["member `logo.png` was not read: not a text file and not a format sidenote reads (image/png)"],
            "{name}"
        );
        assert_eq!(extracted.documents[0].title.as_deref(), Some("One"));
    }
    assert_eq!(parts(&read("notes.txt.gz", &gzip(b"alone")).expect("reads")), [("notes.txt", "alone")]);
}

#[test]
fn containers_in_containers_are_opened_and_named_by_their_way() {
    let inner = zip_of(&[("a/b.txt", b"deep"), ("a/b.txt2", b"")]);
    let mail = format!(
        "Subject: s\nFrom: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nbody\n--b\n\
         Content-Type: application/zip; name=\"report.zip\"\nContent-Transfer-Encoding: base64\n\n{}\n--b--\n",
        base64(&inner)
    );
    let extracted = read("a.eml", mail.as_bytes()).expect("reads");
    assert_eq!(parts(&extracted).get(1), Some(&("report.zip/a/b.txt", "deep")));
    assert_eq!(extracted.warnings, ["member `report.zip/a/b.txt2` was not read: the file holds no text"]);
    let outer = zip_of(&[("mail/1.eml", mail.as_bytes()), ("mail/2.eml", b"Subject: two\n\ntext")]);
    let extracted = read("x.zip", &outer).expect("reads");
    let names: Vec<&str> = parts(&extracted).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["mail/1.eml", "mail/1.eml/report.zip/a/b.txt", "mail/2.eml"]);
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..=group.len() {
            text.push(char::from(SIGNS[(bits >> (18 - 6 * place) & 63) as usize]));
        }
        text.push_str(&"=".repeat(3 - group.len()));
        if text.len() % 77 == 76 {
            text.push('\n');
        }
    }
    text
}

#[test]
fn an_archive_of_nothing_that_can_be_read_says_why() {
    let pictures = zip_of(&[("a.png", PICTURE), ("b.png", PICTURE)]);
    let error = read("x.zip", &pictures).expect_err("nothing in it").to_string();
    assert!(error.contains("`a.png`") && error.contains("image/png"), "{error}");
    assert_eq!(read("x.zip", &zip_of(&[])), Err(ExtractError::Empty));
    let packed = zip_of(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", b"<w/>")]);
    assert!(read("x.zip", &packed).is_err(), "a Word file without a body");
}

#[test]
fn encrypted_members_are_named() {
    // The flag of encryption set by hand: what follows cannot be read with or without it.
    let mut archive = zip_of(&[("secret.txt", b"words"), ("open.txt", b"free")]);
    let local = archive.windows(4).position(|at| at == b"PK\x03\x04").expect("a header");
    let central = archive.windows(4).position(|at| at == b"PK\x01\x02").expect("a directory");
    archive[local + 6] |= 1;
    archive[central + 8] |= 1;
    let extracted = read("x.zip", &archive).expect("reads");
    assert_eq!(parts(&extracted), [("open.txt", "free")]);
    assert_eq!(extracted.warnings, ["member `secret.txt` was not read: it is encrypted"]);
    let mut alone = zip_of(&[("secret.txt", b"words")]);
    let central = alone.windows(4).position(|at| at == b"PK\x01\x02").expect("a directory");
    alone[6] |= 1;
    alone[central + 8] |= 1;
    assert_eq!(read("x.zip", &alone), Err(ExtractError::Encrypted));
}

#[test]
fn texts_of_all_members_share_one_limit() {
    let limits = ExtractLimits { max_text_bytes: 10, ..ExtractLimits::default() };
    let archive = zip_of(&[("a.txt", b"six by"), ("b.txt", b"six by"), ("c.txt", b"four")]);
    let extracted = extract(&SourceFile { name: "x.zip", bytes: &archive }, &limits).expect("reads");
    assert_eq!(parts(&extracted), [("a.txt", "six by"), ("c.txt", "four")]);
    assert!(extracted.warnings[0].contains("limit of 10 bytes"), "{:?}", extracted.warnings);
}

#[test]
fn archives_inside_of_each_other_end_somewhere() {
    let mut archive = zip_of(&[("a.txt", b"deep down")]);
    for _ in 0..20 {
        archive = zip_of(&[("next.zip", &archive), ("a.txt", b"here")]);
    }
    let extracted = read("x.zip", &archive).expect("reads");
    assert_eq!(extracted.documents.len(), 4);
    assert!(extracted.warnings[0].contains("more than 4 containers deep"), "{:?}", extracted.warnings);
}

#[test]
fn a_bomb_costs_itself_alone() {
    let zeros = vec![b'0'; 300 << 20];
    let archive = zip_of(&[("a.txt", b"before"), ("bomb.txt", &zeros), ("b.txt", b"behind")]);
    let packed = gzip(&zeros);
    drop(zeros);
    let extracted = read("x.zip", &archive).expect("reads");
    assert_eq!(parts(&extracted), [("a.txt", "before"), ("b.txt", "behind")]);
    assert!(extracted.warnings[0].contains("unpacks to more than"), "{:?}", extracted.warnings);
    assert!(matches!(read("x.txt.gz", &packed), Err(ExtractError::NothingRead(_))));
}

#[test]
fn sizes_that_a_tar_only_claims_are_not_believed() {
    let mut tar = tar_of(&[("a.txt", b"one"), ("b.txt", b"two")]);
    // Octal digits of the second size, with the checksum that belongs to them.
    tar[1024 + 124..1024 + 135].copy_from_slice(b"77777777777");
    tar[1024 + 148..1024 + 156].copy_from_slice(b"        ");
    let sum: u32 = tar[1024..1536].iter().map(|byte| u32::from(*byte)).sum();
    tar[1024 + 148..1024 + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let extracted = read("x.tar", &tar).expect("reads");
    assert_eq!(parts(&extracted)[0], ("a.txt", "one"));
    for end in (0..tar.len()).step_by(97) {
        let _ = read("x.tar", &tar[..end]);
        let _ = read("x.tgz", &gzip(&tar[..end]));
    }
}

#[test]
fn broken_archives_are_read_or_refused() {
    let mail = b"Subject: s\nFrom: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nbody\n--b--\n";
    let archive = zip_of(&[("a.txt", b"one one one one one"), ("b.eml", mail), ("c/d.md", b"# three")]);
    for at in 0..archive.len() {
        let mut spoilt = archive.clone();
        spoilt[at] ^= 0xff;
        let _ = read("x.zip", &spoilt);
        if at % 5 == 0 {
            let _ = read("x.zip", &archive[..at]);
        }
    }
}

#[test]
fn many_members_are_cut_off_with_a_warning() {
    let names: Vec<String> = (0..10_050).map(|number| format!("{number}.txt")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let extracted = read("x.zip", &zip_of(&members)).expect("reads");
    assert_eq!(extracted.documents.len(), 10_000);
    assert_eq!(extracted.warnings, ["only the first 10000 attachments and members were read"]);
}

#[test]
fn mail_made_to_be_slow_is_read() {
    let nested: String = (0..10_000)
        .map(|depth| format!("Content-Type: multipart/mixed; boundary=b{depth}\n\n--b{depth}\n"))
        .chain(["\nthe innermost".to_owned()])
        .collect();
    let unending: String =
        (0..20_000).map(|part| format!("--b\nContent-Type: multipart/mixed; boundary=never{part}\n\ntext\n")).collect();
    let messages = "Content-Type: message/rfc822\n\n".repeat(10_000);
    let fields: String = (0..100_000).map(|field| format!("X-{field}: value\n")).collect();
    let addresses = "a@b, \"c\" <d@e>, (comment) g: h@i;, ".repeat(30_000);
    let words = "=?utf-8?q?w?= ".repeat(100_000);
    for (what, mail) in [
        ("nested multiparts", format!("Subject: s\n{nested}")),
        ("boundaries that never come", format!("Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n{unending}")),
        ("nested messages", format!("Subject: s\n{messages}Subject: t\n\ntext")),
        ("fields", format!("Subject: s\n{fields}\ntext")),
        ("addresses", format!("Subject: s\nTo: {addresses}\n\ntext")),
        ("open comments", format!("Subject: s\nTo: {}\n\ntext", "(".repeat(200_000))),
        ("open brackets", format!("Subject: s\nTo: {}\n\ntext", "<\"".repeat(200_000))),
        ("encoded words", format!("Subject: {words}\n\ntext")),
        ("broken encoded words", format!("Subject: s {}\n\ntext", "=?utf-8?".repeat(100_000))),
        ("parameters", format!("Subject: s\nContent-Type: text/plain{}\n\ntext", "; a*0*=utf-8''%41".repeat(50_000))),
        ("quoted lines", format!("Subject: s\n\n{}", "> > > > \n".repeat(100_000))),
    ] {
        let start = std::time::Instant::now();
        let result = read("a.eml", mail.as_bytes());
        assert!(result.is_ok(), "{what}: {result:?}");
        assert!(start.elapsed().as_secs() < 20, "{what}: {:?}", start.elapsed());
        let mailbox = format!("From a@b Mon Jul 20 01:01:07 2015\n{mail}");
        assert!(read("a.mbox", mailbox.as_bytes()).is_ok(), "{what} in a mailbox");
    }
    let mailbox = "From a@b Mon Jul 20 01:01:07 2015\nSubject: s\n\ntext\n\n".repeat(50_000);
    assert!(read("a.mbox", mailbox.as_bytes()).is_ok());
}

#[test]
fn mail_with_any_byte_changed_is_read_or_refused() {
    let mail = b"Date: Fri, 16 Dec 2022 17:04:16 -0500\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\nFrom: \"A\" <a@b>\n\
                 Content-Type: multipart/mixed; boundary=\"x\"\n\n--x\nContent-Transfer-Encoding: base64\n\nR3LDvMOfZQ==\n--x\n\
                 Content-Disposition: attachment; filename*=utf-8''n%C3%A4.txt\n\nnote\n--x--\n";
    for at in 0..mail.len() {
        for change in [0x01, 0x20, 0x80, 0xff] {
            let mut spoilt = mail.to_vec();
            spoilt[at] ^= change;
            let _ = read("a.eml", &spoilt);
        }
    }
}

#[test]
fn a_message_of_outlook_with_any_byte_changed_is_read_or_refused() {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).expect("creates");
    let inner = "/__attach_version1.0_#00000000/__substg1.0_3701000D";
    for storage in ["/__nameid_version1.0", inner] {
        file.create_storage_all(storage).expect("creates");
    }
    let body = "words of the body ".repeat(300);
    for (path, bytes) in [
        ("/__substg1.0_0037001E".to_owned(), &b"Subject"[..]),
        ("/__substg1.0_1000001E".to_owned(), body.as_bytes()),
        (format!("{inner}/__properties_version1.0"), &[0; 24]),
        (format!("{inner}/__substg1.0_1000001E"), b"inside"),
    ] {
        file.create_stream(path).expect("creates").write_all(bytes).expect("writes");
    }
    let whole = file.into_inner().into_inner();
    assert_eq!(read("a.msg", &whole).expect("reads").documents.len(), 2);
    for at in 0..whole.len() {
        let mut spoilt = whole.clone();
        spoilt[at] ^= 0xff;
        let _ = read("a.msg", &spoilt);
        if at % 64 == 0 {
            let _ = read("a.msg", &whole[..at]);
        }
    }
}

fn book() -> Vec<u8> {
    let package = b"<package><metadata><dc:title>Pumps</dc:title><dc:creator>Ruth Meier</dc:creator><dc:language>en</dc:language>\
        <dc:date>2011-04-12</dc:date></metadata><manifest><item id='n' href='nav.xhtml' properties='nav' media-type='application/xhtml+xml'/>\
        <item id='b' href='text/b.xhtml' media-type='application/xhtml+xml'/><item id='a' href='text/a%20a.xhtml' \
        media-type='application/xhtml+xml'/></manifest><spine><itemref idref='n'/><itemref idref='b'/><itemref idref='a'/>\
        <itemref idref='b'/><itemref idref='gone'/></spine></package>";
    zip_of(&[
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", b"<container><rootfile full-path='OEBPS/package.opf'/></container>"),
        ("OEBPS/package.opf", package),
        ("OEBPS/nav.xhtml", b"<nav>Contents</nav>"),
        ("OEBPS/text/a a.xhtml", b"<html><head><title/></head><body><h1>Two</h1><p>second</p></body></html>"),
        ("OEBPS/text/b.xhtml", b"<html><body><h1>One</h1><p>first</p></body></html>"),
    ])
}

#[test]
fn a_book_is_read_in_its_order() {
    let document = read("a.epub", &book()).expect("reads").into_first().expect("a document");
    assert_eq!(document.text, "One\n\nfirst\n\nTwo\n\nsecond");
    assert_eq!((document.title.as_deref(), document.author.as_deref()), (Some("Pumps"), Some("Ruth Meier")));
    assert_eq!((document.language.as_deref(), document.created_unix_ms), (Some("en"), Some(1_302_566_400_000)));
    let locked =
        b"<encryption><EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#aes128-cbc'/></encryption>";
    let members: [(&str, &[u8]); 2] = [("META-INF/encryption.xml", locked), ("a.xhtml", b"noise")];
    assert_eq!(read("a.epub", &zip_of(&members)), Err(ExtractError::Encrypted));
}

#[test]
fn a_book_with_any_byte_changed_is_read_or_refused() {
    let whole = book();
    for at in 0..whole.len() {
        let mut spoilt = whole.clone();
        spoilt[at] ^= 0xff;
        let _ = read("a.epub", &spoilt);
    }
}
