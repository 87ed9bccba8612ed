//! Writes the seeds that nobody writes by hand: packages, archives and compound files. The others are text, and are edited
//! where they lie. `cargo test -p sidenote-text --test fuzz -- --ignored write_seeds`

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::seeds;
use super::shared::zip_of;

#[test]
#[ignore = "writes tests/seeds"]
fn write_seeds() {
    let seeds: Vec<(&str, Vec<u8>)> = vec![
        ("docx/report.docx", docx()),
        ("pptx/talk.pptx", pptx()),
        ("xlsx/prices.xlsx", xlsx()),
        ("odt/report.odt", odf("text", ODT, ODF_STYLES)),
        ("odp/talk.odp", odf("presentation", ODP, ODF_STYLES)),
        ("ods/prices.ods", odf("spreadsheet", ODS, "<office:styles/>")),
        ("epub/book.epub", epub()),
        ("doc/letter.doc", doc()),
        ("xls/prices.xls", xls()),
        ("ppt/talk.ppt", ppt()),
        ("msg/prices.msg", msg()),
        ("pdf/rules.pdf", pdf()),
        ("zip/some.zip", zip_of(MEMBERS)),
        ("tar/some.tar", tar_of(MEMBERS)),
        ("gzip/some.tar.gz", gzip(&tar_of(MEMBERS))),
        ("gzip/note.txt.gz", gzip(b"A note of two lines.\nIt is packed alone.\n")),
    ];
    for (path, bytes) in seeds {
        let path = seeds::folder().join(path);
        fs_err::create_dir_all(path.parent().expect("a folder")).expect("creates");
        fs_err::write(path, bytes).expect("writes");
    }
}

fn tar_of(members: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).expect("appends");
    }
    builder.into_inner().expect("finishes")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("writes");
    encoder.finish().expect("finishes")
}

/// An OLE file of the given streams.
fn ole(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create_with_version(cfb::Version::V3, Cursor::new(Vec::new())).expect("creates");
    for (path, bytes) in streams {
        if let Some((storage, _)) = path.rsplit_once('/').filter(|(storage, _)| !storage.is_empty()) {
            file.create_storage_all(storage).expect("creates");
        }
        file.create_stream(path).expect("creates").write_all(bytes).expect("writes");
    }
    file.into_inner().into_inner()
}

const MEMBERS: &[(&str, &str)] = &[
    ("notes/one.md", "# One\n\nA list:\n\n- first\n- second\n"),
    ("prices.csv", "part,price\nseal,12.50\npump,99\n"),
    ("mail.eml", "From: a@example.com\nSubject: Hello\n\nA few words.\n"),
    ("picture.png", "\u{89}PNG\r\n\u{1a}\n"),
];

const DOCX_RELATIONS: &str = "<Relationships>\
    <Relationship Id='s' Type='x/styles' Target='styles.xml'/><Relationship Id='n' Type='x/numbering' Target='numbering.xml'/>\
    <Relationship Id='f' Type='x/footnotes' Target='footnotes.xml'/><Relationship Id='c' Type='x/comments' Target='comments.xml'/>\
    <Relationship Id='h' Type='x/header' Target='header1.xml'/><Relationship Id='o' Type='x/footer' Target='header1.xml'/>\
    <Relationship Id='ch' Type='x/chart' Target='charts/chart1.xml'/></Relationships>";

const DOCX_BODY: &str = "<w:document><w:body><w:p><w:pPr><w:pStyle w:val='H1'/></w:pPr><w:r><w:t>Travel rules</w:t></w:r></w:p>\
    <w:p><w:r><w:t>Trips are </w:t></w:r><w:ins><w:r><w:t>approved</w:t></w:r></w:ins><w:del><w:r><w:delText>paid</w:delText></w:r></w:del>\
    <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:tab/><w:t>first.</w:t><w:footnoteReference w:id='2'/><w:commentReference w:id='0'/></w:r></w:p>\
    <w:p><w:pPr><w:numPr><w:ilvl w:val='0'/><w:numId w:val='5'/></w:numPr></w:pPr><w:r><w:t>one</w:t></w:r></w:p>\
    <w:p><w:pPr><w:numPr><w:ilvl w:val='1'/><w:numId w:val='5'/></w:numPr></w:pPr><w:r><w:t>two</w:t></w:r></w:p>\
    <w:tbl><w:tr><w:trPr><w:tblHeader/></w:trPr><w:tc><w:p><w:r><w:t>Part</w:t></w:r></w:p></w:tc><w:tc><w:tcPr><w:gridSpan w:val='2'/></w:tcPr><w:p><w:r><w:t>Price</w:t></w:r></w:p></w:tc></w:tr>\
    <w:tr><w:tc><w:p><w:r><w:t>Seal</w:t></w:r></w:p></w:tc><w:tc><w:tbl><w:tr><w:tc><w:p><w:r><w:t>12.50</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>net</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:tc></w:tr></w:tbl>\
    <w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Choice><mc:Fallback><w:t>boxed</w:t></mc:Fallback></mc:AlternateContent>\
    <w:sym w:font='Wingdings' w:char='F0A8'/><w:fldChar><w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox></w:ffData></w:fldChar><c:chart r:id='ch'/></w:r>\
    <m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f><m:d><m:dPr><m:begChr m:val='['/><m:endChr m:val=']'/></m:dPr><m:e><m:r><m:t>x</m:t></m:r></m:e></m:d>\
    <m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></w:p><w:sectPr/></w:body></w:document>";

const CHART: &str = "<c:chart><c:title><c:tx><a:p><a:r><a:t>Ducks seen</a:t></a:r></a:p></c:tx></c:title><c:ser><c:tx><c:v>Wild</c:v></c:tx>\
    <c:cat><c:pt idx='0'><c:v>North</c:v></c:pt><c:pt idx='1'><c:v>South</c:v></c:pt></c:cat><c:val><c:pt idx='0'><c:v>120.0</c:v></c:pt><c:pt idx='1'><c:v>0.5</c:v></c:pt></c:val></c:ser></c:chart>";

const CORE: &str = "<cp:coreProperties><dc:title>Rules of the house</dc:title><dc:creator>Anna; Bo</dc:creator>\
    <dcterms:created>2024-02-29T14:30:15.123+02:00</dcterms:created><dc:language>en-GB</dc:language></cp:coreProperties>";

fn docx() -> Vec<u8> {
    zip_of(&[
        (
            "[Content_Types].xml",
            "<Types><Override PartName='/word/document.xml' ContentType='application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml'/></Types>",
        ),
        (
            "_rels/.rels",
            "<Relationships><Relationship Id='m' Type='x/officeDocument' Target='word/document.xml'/><Relationship Id='p' Type='x/core-properties' Target='docProps/core.xml'/></Relationships>",
        ),
        ("docProps/core.xml", CORE),
        ("word/document.xml", DOCX_BODY),
        ("word/_rels/document.xml.rels", DOCX_RELATIONS),
        (
            "word/styles.xml",
            "<w:styles><w:style w:styleId='H1'><w:name w:val='heading 1'/><w:basedOn w:val='N'/></w:style><w:style w:styleId='N'><w:name w:val='Normal'/><w:pPr><w:outlineLvl w:val='9'/></w:pPr></w:style></w:styles>",
        ),
        (
            "word/numbering.xml",
            "<w:numbering><w:abstractNum w:abstractNumId='0'><w:lvl w:ilvl='0'><w:start w:val='1'/><w:numFmt w:val='upperRoman'/><w:lvlText w:val='%1.'/></w:lvl><w:lvl w:ilvl='1'><w:start w:val='3'/><w:numFmt w:val='lowerLetter'/><w:lvlText w:val='%1.%2)'/></w:lvl></w:abstractNum>\
             <w:num w:numId='5'><w:abstractNumId w:val='0'/><w:lvlOverride w:ilvl='0'><w:startOverride w:val='7'/></w:lvlOverride></w:num></w:numbering>",
        ),
        (
            "word/footnotes.xml",
            "<w:footnotes><w:footnote w:type='separator' w:id='0'><w:p/></w:footnote><w:footnote w:id='2'><w:p><w:r><w:t>The note.</w:t></w:r></w:p></w:footnote></w:footnotes>",
        ),
        (
            "word/comments.xml",
            "<w:comments><w:comment w:id='0' w:author='Anna'><w:p><w:r><w:t>Really?</w:t></w:r></w:p></w:comment></w:comments>",
        ),
        ("word/header1.xml", "<w:hdr><w:p><w:r><w:t>The house</w:t></w:r></w:p></w:hdr>"),
        ("word/charts/chart1.xml", CHART),
    ])
}

fn pptx() -> Vec<u8> {
    let slide = "<p:sld><p:sp><p:nvPr><p:ph type='title'/></p:nvPr><p:txBody><a:p><a:r><a:t>Prices</a:t></a:r></a:p></p:txBody></p:sp>\
        <p:sp><p:ph idx='1'/><a:p><a:pPr lvl='1'><a:buChar char='-'/></a:pPr><a:r><a:t>net</a:t></a:r><a:br/><a:r><a:t>gross</a:t></a:r></a:p></p:sp>\
        <p:graphicFrame><a:tbl><a:tblPr firstRow='1'/><a:tr><a:tc><a:p><a:t>Part</a:t></a:p></a:tc><a:tc><a:p><a:t>Price</a:t></a:p></a:tc></a:tr><a:tr><a:tc><a:p><a:t>Seal</a:t></a:p></a:tc><a:tc><a:p><a:t>4</a:t></a:p></a:tc></a:tr></a:tbl></p:graphicFrame>\
        <p:graphicFrame><c:chart r:id='ch'/></p:graphicFrame><p:graphicFrame><dgm:relIds r:dm='dg'/></p:graphicFrame>\
        <p:sp><a:p><m:oMath><m:sSub><m:e><m:r><m:t>H</m:t></m:r></m:e><m:sub><m:r><m:t>2</m:t></m:r></m:sub></m:sSub><m:rad><m:deg/><m:e><m:r><m:t>ab</m:t></m:r></m:e></m:rad></m:oMath></a:p></p:sp>\
        <p:sp><p:ph type='ftr'/><a:p><a:t>Confidential</a:t></a:p></p:sp><p:sp><p:ph type='sldNum'/><a:p><a:fld type='slidenum'><a:t>1</a:t></a:fld></a:p></p:sp></p:sld>";
    zip_of(&[
        (
            "[Content_Types].xml",
            "<Types><Override ContentType='application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml'/></Types>",
        ),
        (
            "_rels/.rels",
            "<Relationships><Relationship Id='m' Type='x/officeDocument' Target='ppt/presentation.xml'/></Relationships>",
        ),
        (
            "ppt/presentation.xml",
            "<p:presentation><p:sldIdLst><p:sldId id='256' r:id='s1'/><p:sldId id='257' r:id='s2'/></p:sldIdLst></p:presentation>",
        ),
        (
            "ppt/_rels/presentation.xml.rels",
            "<Relationships><Relationship Id='s1' Type='x/slide' Target='slides/s1.xml'/><Relationship Id='s2' Type='x/slide' Target='/ppt/slides/s2.xml'/><Relationship Id='a' Type='x/commentAuthors' Target='authors.xml'/></Relationships>",
        ),
        ("ppt/authors.xml", "<p:cmAuthorLst><p:cmAuthor id='0' name='Anna'/></p:cmAuthorLst>"),
        ("ppt/slides/s1.xml", slide),
        ("ppt/slides/s2.xml", "<p:sld><p:sp><a:p><a:t>A slide without title</a:t></a:p></p:sp></p:sld>"),
        (
            "ppt/slides/_rels/s1.xml.rels",
            "<Relationships><Relationship Id='n' Type='x/notesSlide' Target='../notes/n1.xml'/><Relationship Id='c' Type='x/comments' Target='../c1.xml'/><Relationship Id='ch' Type='x/chart' Target='../chart.xml'/><Relationship Id='dg' Type='x/diagramData' Target='../d1.xml'/></Relationships>",
        ),
        (
            "ppt/notes/n1.xml",
            "<p:notes><p:sp><p:ph type='body'/><a:p><a:t>Say this slowly.</a:t></a:p></p:sp></p:notes>",
        ),
        ("ppt/c1.xml", "<p:cmLst><p:cm authorId='0'><p:text>Too dear?</p:text></p:cm></p:cmLst>"),
        ("ppt/chart.xml", CHART),
        ("ppt/d1.xml", "<dgm:dataModel><dgm:pt><dgm:t><a:p><a:t>Box</a:t></a:p></dgm:t></dgm:pt></dgm:dataModel>"),
    ])
}

fn xlsx() -> Vec<u8> {
    let sheet = "<worksheet><sheetData><row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' t='s'><v>1</v></c><c r='C1' t='inlineStr'><is><t>Since</t></is></c></row>\
        <row r='2'><c r='A2' t='str'><v>Seal_x000D_kit</v></c><c r='B2' s='2'><v>12.5</v></c><c r='C2' s='1'><v>45000</v></c><c r='D2' t='b'><v>1</v></c></row>\
        <row r='3'><c r='A3' t='e'><v>#N/A</v></c><c r='B3' s='3'><f>B2*2</f><v>0.25</v></c></row><row r='9'><c r='A9' t='str'><v>below</v></c></row></sheetData></worksheet>";
    zip_of(&[
        (
            "[Content_Types].xml",
            "<Types><Override ContentType='application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml'/></Types>",
        ),
        (
            "_rels/.rels",
            "<Relationships><Relationship Id='m' Type='x/officeDocument' Target='xl/workbook.xml'/></Relationships>",
        ),
        (
            "xl/workbook.xml",
            "<workbook><workbookPr date1904='0'/><sheets><sheet name='Prices' r:id='s1'/><sheet name='More' r:id='s2'/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships><Relationship Id='s1' Type='x/worksheet' Target='s1.xml'/><Relationship Id='s2' Type='x/worksheet' Target='s2.xml'/><Relationship Id='t' Type='x/sharedStrings' Target='strings.xml'/><Relationship Id='y' Type='x/styles' Target='styles.xml'/><Relationship Id='p' Type='x/person' Target='people.xml'/></Relationships>",
        ),
        (
            "xl/strings.xml",
            "<sst><si><t>Part</t></si><si><r><t>Pri</t></r><r><t>ce</t></r><rPh><t>x</t></rPh></si></sst>",
        ),
        (
            "xl/styles.xml",
            "<styleSheet><numFmts><numFmt numFmtId='164' formatCode='#,##0.00 &quot;EUR&quot;;[Red]-0.0'/><numFmt numFmtId='165' formatCode='[$-409]d mmm yyyy h:mm AM/PM'/></numFmts><cellXfs><xf numFmtId='0'/><xf numFmtId='165'/><xf numFmtId='164'/><xf numFmtId='10'/></cellXfs></styleSheet>",
        ),
        ("xl/people.xml", "<personList><person id='{1}' displayName='Anna'/></personList>"),
        ("xl/s1.xml", sheet),
        ("xl/s2.xml", "<worksheet><sheetData><row><c><v>1</v></c><c><v>1e5</v></c></row></sheetData></worksheet>"),
        (
            "xl/_rels/s1.xml.rels",
            "<Relationships><Relationship Id='c' Type='x/comments' Target='c1.xml'/><Relationship Id='d' Type='x/drawing' Target='d1.xml'/><Relationship Id='t' Type='x/threadedComment' Target='threadedComment1.xml'/></Relationships>",
        ),
        (
            "xl/c1.xml",
            "<comments><authors><author>Bo</author></authors><commentList><comment ref='B2' authorId='0'><text><r><t>Net?</t></r></text></comment></commentList></comments>",
        ),
        (
            "xl/threadedComment1.xml",
            "<ThreadedComments><threadedComment ref='B3' personId='{1}'><text>Twice</text></threadedComment></ThreadedComments>",
        ),
        (
            "xl/d1.xml",
            "<xdr:wsDr><xdr:sp><xdr:txBody><a:p><a:r><a:t>Ask first</a:t></a:r></a:p></xdr:txBody></xdr:sp></xdr:wsDr>",
        ),
    ])
}

const ODF_STYLES: &str = "<office:document-styles><style:master-page><style:header><text:p>The house</text:p></style:header>\
    <style:footer><text:p>Page <text:page-number>1</text:page-number></text:p></style:footer></style:master-page></office:document-styles>";

const ODT: &str = "<office:automatic-styles><style:style style:name='P1' style:parent-style-name='Title'/></office:automatic-styles><office:body><office:text>\
    <text:tracked-changes><text:p>deleted</text:p></text:tracked-changes><text:p text:style-name='P1'>House</text:p><text:h text:outline-level='2'>Travel</text:h>\
    <text:p>Trips<text:s text:c='2'/>are<text:tab/>approved<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>By whom?</text:p></text:note-body></text:note>\
    <office:annotation><dc:creator>Anna</dc:creator><dc:date>2024-01-01</dc:date><text:p>Really?</text:p></office:annotation>.</text:p>\
    <text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>two</text:p></text:list-item></text:list></text:list-item></text:list>\
    <table:table><table:table-header-rows><table:table-row><table:table-cell><text:p>Part</text:p></table:table-cell><table:table-cell table:number-columns-repeated='2'><text:p>Price</text:p></table:table-cell></table:table-row></table:table-header-rows>\
    <table:table-row><table:table-cell><text:p>Seal</text:p></table:table-cell><table:covered-table-cell/><table:table-cell><text:p>4</text:p></table:table-cell></table:table-row></table:table>\
    <text:p><draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame><draw:frame><draw:object xlink:href='./Object 1'/></draw:frame></text:p></office:text></office:body>";

const ODP: &str = "<office:body><office:presentation><draw:page draw:name='one'><draw:frame presentation:class='title'><draw:text-box><text:p>Prices</text:p></draw:text-box></draw:frame>\
    <draw:frame presentation:class='outline'><draw:text-box><text:list><text:list-item><text:p>net</text:p></text:list-item></text:list></draw:text-box></draw:frame>\
    <draw:custom-shape><text:p>shape</text:p></draw:custom-shape><presentation:notes><draw:frame presentation:class='notes'><draw:text-box><text:p>Slowly.</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>\
    <draw:page><draw:frame><draw:object xlink:href='./Object 1'/></draw:frame><draw:frame><text:p>Second</text:p></draw:frame></draw:page></office:presentation></office:body>";

const ODS: &str = "<office:body><office:spreadsheet><table:table table:name='Prices'><table:table-row><table:table-cell office:value-type='string'><text:p>Part</text:p></table:table-cell>\
    <table:table-cell office:value-type='string'><text:p>Price</text:p><office:annotation><dc:creator>Bo</dc:creator><text:p>net</text:p></office:annotation></table:table-cell></table:table-row>\
    <table:table-row table:number-rows-repeated='3'><table:table-cell table:number-columns-repeated='2' office:value-type='float' office:value='4'><text:p>4,00</text:p></table:table-cell></table:table-row>\
    <table:table-row table:number-rows-repeated='1048000'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>\
    <table:table-row><table:table-cell office:value-type='date' office:date-value='2024-05-31T00:00:00'><text:p>31.05.24</text:p></table:table-cell></table:table-row>\
    <table:shapes><draw:frame><draw:object xlink:href='./Object 2'/></draw:frame><draw:custom-shape><text:p>Ask</text:p></draw:custom-shape></table:shapes></table:table></office:spreadsheet></office:body>";

fn odf(kind: &str, body: &str, styles: &str) -> Vec<u8> {
    let mimetype = format!("application/vnd.oasis.opendocument.{kind}");
    let content = format!("<?xml version='1.0'?><office:document-content>{body}</office:document-content>");
    zip_of(&[
        ("mimetype", mimetype.as_str()),
        ("META-INF/manifest.xml", "<manifest:manifest/>"),
        (
            "meta.xml",
            "<office:meta><dc:title>House</dc:title><meta:initial-creator>Anna</meta:initial-creator><meta:creation-date>2024-01-02T03:04:05</meta:creation-date></office:meta>",
        ),
        ("styles.xml", styles),
        ("content.xml", &content),
        ("Object 1/content.xml", "<math><semantics><mi>x</mi><mo>=</mo><mn>2</mn></semantics></math>"),
        (
            "Object 2/content.xml",
            "<office:chart><chart:title><text:p>Ducks</text:p></chart:title><table:table><table:table-row><table:table-cell><text:p/></table:table-cell><table:table-cell><text:p>Wild</text:p></table:table-cell></table:table-row><table:table-row><table:table-cell><text:p>North</text:p></table:table-cell><table:table-cell><text:p>120</text:p></table:table-cell></table:table-row></table:table></office:chart>",
        ),
    ])
}

fn epub() -> Vec<u8> {
    zip_of(&[
        ("mimetype", "application/epub+zip"),
        (
            "META-INF/container.xml",
            "<container><rootfiles><rootfile full-path='OEBPS/book.opf'/></rootfiles></container>",
        ),
        (
            "OEBPS/book.opf",
            "<package><metadata><dc:title>The pump</dc:title><dc:creator>Ruth Meier</dc:creator><dc:language>en</dc:language><dc:date>2011-04-12</dc:date><dc:description>&lt;p&gt;About pumps.</dc:description></metadata>\
             <manifest><item id='nav' href='nav.xhtml' media-type='application/xhtml+xml' properties='nav'/><item id='a' href='text/a%20b.xhtml' media-type='application/xhtml+xml'/><item id='b' href='../two.html' media-type='text/html'/></manifest><spine><itemref idref='a'/><itemref idref='b'/></spine></package>",
        ),
        ("OEBPS/nav.xhtml", "<html><body><a href='text/a%20b.xhtml'>One</a></body></html>"),
        (
            "OEBPS/text/a b.xhtml",
            "<?xml version='1.0' encoding='utf-8'?><html><head><title/></head><body><h1>One</h1><p>A <i>seal</i> is tight.<br/>Always.</p><table><tr><th>Part</th><th>Price</th></tr><tr><td>Seal</td><td>4</td></tr></table><aside>A note &amp; more</aside></body></html>",
        ),
        (
            "two.html",
            "<html><body><h2>Two</h2><ul><li>first</li><li>second</li></ul><script>no()</script></body></html>",
        ),
    ])
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A Word file with two pieces of text, one of them in eight bits.
fn doc() -> Vec<u8> {
    const TEXT_AT: u32 = 1024;
    let (narrow, broad) = ("Travel rules\rTrips are approved first.\r", "Größe und Preis\r");
    let mut main = vec![0u8; 1024];
    let mut put = |at: usize, bytes: &[u8]| main[at..at + bytes.len()].copy_from_slice(bytes);
    let length = u32::try_from(narrow.len() + broad.chars().count()).expect("short");
    let split = u32::try_from(narrow.len()).expect("short");
    put(0, &0xa5ecu16.to_le_bytes());
    put(2, &0x00c1u16.to_le_bytes());
    put(0x0a, &(1u16 << 9).to_le_bytes());
    put(0x4c, &length.to_le_bytes());
    let mut pieces: Vec<u8> = [0, split, length].into_iter().flat_map(u32::to_le_bytes).collect();
    for start in [(TEXT_AT * 2) | 0x4000_0000, TEXT_AT + split] {
        pieces.extend([0, 0]);
        pieces.extend(start.to_le_bytes());
        pieces.extend([0, 0]);
    }
    let mut table = vec![2];
    table.extend(u32::try_from(pieces.len()).expect("short").to_le_bytes());
    table.extend(pieces);
    put(0x1a2, &0u32.to_le_bytes());
    put(0x1a6, &u32::try_from(table.len()).expect("short").to_le_bytes());
    main.extend(narrow.bytes());
    main.extend(wide(broad));
    ole(&[("/WordDocument", &main), ("/1Table", &table)])
}

/// A record of an Excel file.
fn record(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short");
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
}

fn xls() -> Vec<u8> {
    let begin =
        |kind: u16| record(0x0809, &[0x0600u16, kind, 0x0dbb, 0x07cc, 0, 0, 6, 0].map(u16::to_le_bytes).concat());
    let mut strings = [2u32, 2].map(u32::to_le_bytes).concat();
    for text in ["Part", "Price"] {
        strings.extend(u16::try_from(text.len()).expect("short").to_le_bytes());
        strings.push(0);
        strings.extend(text.bytes());
    }
    let globals_end = [record(0x00fc, &strings), record(0x000a, &[])].concat();
    let sheet_at = begin(5).len() + 4 + 8 + "Prices".len() + globals_end.len();
    let mut bound = u32::try_from(sheet_at).expect("short").to_le_bytes().to_vec();
    bound.extend([0, 0, 6, 0]);
    bound.extend(b"Prices");
    let cell = |row: u16, column: u16| [row, column, 0].map(u16::to_le_bytes).concat();
    let text =
        |row: u16, column: u16, index: u32| record(0x00fd, &[cell(row, column), index.to_le_bytes().to_vec()].concat());
    let number =
        |row: u16, column: u16, value: f64| record(0x0203, &[cell(row, column), value.to_le_bytes().to_vec()].concat());
    let label = record(0x0204, &[cell(1, 0), vec![4, 0, 0], b"Seal".to_vec()].concat());
    let book = [
        begin(5),
        record(0x0085, &bound),
        globals_end,
        begin(0x10),
        text(0, 0, 0),
        text(0, 1, 1),
        label,
        number(1, 1, 12.5),
        record(0x000a, &[]),
    ];
    ole(&[("/Workbook", &book.concat())])
}

/// A record of a PowerPoint file.
fn atom(kind: u16, flags: u16, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short");
    [&flags.to_le_bytes()[..], &kind.to_le_bytes(), &length.to_le_bytes(), data].concat()
}

fn ppt() -> Vec<u8> {
    const CONTAINER: u16 = 0x0f;
    let persist = |id: u32| atom(0x03f3, 0, &[id, 0, 2, 255 + id, 0].map(u32::to_le_bytes).concat());
    let title = [atom(0x0f9f, 0, &0u32.to_le_bytes()), atom(0x0fa0, 0, &wide("Prices"))].concat();
    let body = [atom(0x0f9f, 0, &1u32.to_le_bytes()), atom(0x0fa8, 0, b"net\rgross")].concat();
    let list = atom(0x0ff0, CONTAINER, &[persist(2), title, body, persist(3), atom(0x0fa8, 0, b"Second")].concat());
    let document = atom(0x03e8, CONTAINER, &list);
    ole(&[("/PowerPoint Document", &document), ("/Current User", &atom(0x0ff6, 0, &[0; 20]))])
}

fn msg() -> Vec<u8> {
    let mut properties = vec![0u8; 32];
    properties.extend([0x40, 0, 0x39, 0, 6, 0, 0, 0]);
    properties.extend(133_500_000_000_000_000u64.to_le_bytes());
    let inner = "/__attach_version1.0_#00000001/__substg1.0_3701000D";
    ole(&[
        ("/__nameid_version1.0/__substg1.0_00020102", b""),
        ("/__properties_version1.0", &properties),
        ("/__substg1.0_0037001F", &wide("Prices")),
        ("/__substg1.0_0C1A001F", &wide("Ruth")),
        ("/__substg1.0_0E04001F", &wide("Bo")),
        ("/__substg1.0_1000001E", b"Hello,\r\n\r\nnew prices for M\xfcnchen."),
        ("/__recip_version1.0_#00000000/__substg1.0_3001001F", &wide("Bo Li")),
        ("/__recip_version1.0_#00000000/__substg1.0_39FE001F", &wide("bo@example.com")),
        ("/__attach_version1.0_#00000000/__substg1.0_3707001F", &wide("n.txt")),
        ("/__attach_version1.0_#00000000/__substg1.0_37010102", b"note"),
        (&format!("{inner}/__properties_version1.0"), &[0; 24]),
        (&format!("{inner}/__substg1.0_10130102"), b"<p>inside"),
    ])
}

fn pdf() -> Vec<u8> {
    let page = |contents: u32| {
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents {contents} 0 R >>"
        )
    };
    let stream = |text: &str| format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len());
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [4 0 R 6 0 R] /Count 2 >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        page(5),
        stream(
            "BT /F1 18 Tf 72 760 Td (Travel rules) Tj ET BT /F1 12 Tf 72 720 Td [(Trips are ) -250 (approved)] TJ 0 -14 Td (by the board.) Tj ET",
        ),
        page(7),
        stream("BT /F1 12 Tf 72 720 Td (Part) Tj 100 0 Td (Price) Tj ET BT 72 700 Td (Seal) Tj 100 0 Td (4) Tj ET"),
        "<< /Title (Rules of the house) /Author (Anna) /CreationDate (D:20240229143015+02'00') >>".to_owned(),
    ];
    let mut bytes = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(bytes.len());
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let (table, size) = (bytes.len(), objects.len() + 1);
    bytes.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").bytes());
    offsets.iter().for_each(|offset| bytes.extend(format!("{offset:010} 00000 n \n").bytes()));
    bytes.extend(format!("trailer\n<< /Size {size} /Root 1 0 R /Info 8 0 R >>\nstartxref\n{table}\n%%EOF\n").bytes());
    bytes
}
