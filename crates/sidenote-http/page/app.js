const MARGIN_BYTES = 6144;
const MOST_BYTES = 65536;
const POLL_MS = 700;
const SPOKEN_MS = 20000;
const ROWS = 200;
const SNIPPET_CHARACTERS = 400;
const SAID_BEFORE = 2;
const COMMON_WORDS = new Set((
  "a an and any are as at be by can could did do does for from had has have how i if in is it its may my not of on or our " +
  "shall should that the their there these they this to was we were what when where which who whom whose why will with would you your"
).split(" "));
const LIMITS = { under: "under", languages: "language", formats: "type", collection: "collection", since: "from", before: "before" };
const VIEWS = { ask: "Ask", search: "Search", documents: "Documents" };

const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const counted = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;

/** An element. Whatever comes from a document reaches the page here, as properties and text, never as markup. */
function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

const button = (label, onclick, className = "") => make("button", { type: "button", className, onclick }, label);

/** Text with `commands` set as code. */
function withCode(text) {
  return text.split("`").map((piece, at) => (at % 2 ? make("code", {}, piece) : piece));
}

/** Speaks, and is silent again before anybody reads on to it. */
function announce(text) {
  const line = make("p", {}, text);
  $("spoken").append(line);
  setTimeout(() => line.remove(), SPOKEN_MS);
}

/** Called before the content of `box` goes: a focus in it would be lost. */
function saveFocus(box) {
  if (box.contains(document.activeElement)) $(box.closest("#source") ? "source-body" : "main").focus({ preventScroll: true });
}

// ---- the server

class Problem extends Error {
  constructor({ title, detail, hint, kind, status }, retryAfter = 0) {
    super(detail || title || "Something went wrong.");
    Object.assign(this, { hint, kind, status, retryAfter });
  }
}

const WHERE_TO_LOOK = "Look whether `sidenote serve` still runs in its terminal.";
const unreachable = () => new Problem({ detail: "sidenote does not answer.", hint: WHERE_TO_LOOK });
const brokeOff = () => new Problem({ detail: "The answer broke off.", hint: WHERE_TO_LOOK });

function asProblem(error) {
  return error instanceof Problem || error.name === "AbortError" ? error : unreachable();
}

async function readProblem(response) {
  const told = await response.json().catch(() => ({}));
  const title = told.title ?? `The server answered ${response.status} ${response.statusText}`.trim();
  return new Problem({ ...told, title, status: response.status }, Number(response.headers.get("retry-after")) || 0);
}

async function call(method, path, { body, signal } = {}) {
  const headers = body ? { "content-type": "application/json" } : {};
  const sent = fetch(`/api/v1/${path}`, { method, headers, signal, body: body && JSON.stringify(body) });
  const response = await sent.catch((error) => { throw asProblem(error); });
  if (response.ok) return response;
  if (response.status === 401) lock(true);
  throw await readProblem(response);
}

async function callJson(...request) {
  const response = await call(...request);
  return response.json().catch((error) => { throw asProblem(error); });
}

/** The events of a server-sent event stream, however its bytes were cut. */
async function* serverEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let name = "";
  let data = [];
  try {
    for (;;) {
      const { value = "", done } = await reader.read();
      rest += value;
      if (done) rest = rest.replace(/\r$/, "\n");
      // A CR at the very end may be half of a CRLF: it waits for what follows.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { name, data: JSON.parse(data.join("\n")) };
          name = "";
          data = [];
          continue;
        }
        const [, field, content] = /^([^:]*):? ?(.*)$/s.exec(line);
        if (field === "event") name = content;
        if (field === "data") data.push(content);
      }
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Says what went wrong, with a button where trying again may help. */
function showProblem(box, problem, retry) {
  if (problem.name === "AbortError" || problem.status === 401) return box.replaceChildren();
  const again = retry && button("Try again", () => {
    saveFocus(box);
    box.replaceChildren();
    retry();
  });
  if (again && problem.retryAfter) {
    again.disabled = true;
    setTimeout(() => { again.disabled = false; }, problem.retryAfter * 1000);
  }
  box.replaceChildren(make("div", { className: "problem", role: "alert" },
    make("p", {}, ...withCode(problem.message)),
    problem.hint ? make("p", { className: "quiet" }, ...withCode(problem.hint)) : null,
    problem.retryAfter ? make("p", { className: "quiet" }, `It can be tried again in ${counted(problem.retryAfter, "second")}.`) : null,
    again));
}

// ---- opening, status, views

let generation = null;

function lock(locked) {
  $("locked").hidden = !locked;
  if (!locked) return showView();
  running?.controller.abort();
  closeSource();
  $("trouble").replaceChildren();
  for (const view of Object.keys(VIEWS)) $(`view-${view}`).hidden = true;
}

async function start() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) {
    history.replaceState(null, "", location.pathname);
    // A used code is no harm where the cookie of its first use still holds: the status tells.
    await call("POST", "session", { body: { code } }).catch(() => {});
  }
  await refreshStatus();
}

async function refreshStatus() {
  try {
    const status = await callJson("GET", "status");
    const wasLocked = !$("locked").hidden || generation === null;
    const isNew = generation !== status.generation;
    generation = status.generation;
    showStatus(status);
    $("trouble").replaceChildren();
    if (wasLocked) {
      lock(false);
      loadJobs();
      loadChats();
    }
    if (isNew && currentView() === "documents") loadDocuments();
  } catch (problem) {
    showProblem($("trouble"), problem, refreshStatus);
  }
}

function showStatus({ documents, collections }) {
  $("count").textContent = counted(documents, "document");
  $("empty").hidden = documents > 0;
  $("ask-form").hidden = documents === 0;
  for (const label of document.querySelectorAll("[data-collections]")) {
    const select = label.querySelector("select");
    const chosen = select.value;
    label.hidden = collections.length < 2;
    select.replaceChildren(new Option("any", ""), ...collections.map(({ name }) => new Option(name, name)));
    select.value = collections.some(({ name }) => name === chosen) ? chosen : "";
  }
}

function currentView() {
  const name = location.hash.replace(/^#\/?/, "");
  return name in VIEWS ? name : "ask";
}

function showView() {
  if (!$("locked").hidden || generation === null) return;
  const current = currentView();
  for (const view of Object.keys(VIEWS)) $(`view-${view}`).hidden = view !== current;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${current}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[current]} · sidenote`;
  if (current === "documents") loadDocuments();
  // Elsewhere a focused box would call up a keyboard over half of the page.
  else if (matchMedia("(pointer: fine)").matches) mainBox().focus({ preventScroll: true });
}

const mainBox = () => $({ ask: "question", search: "query", documents: "filter" }[currentView()]);

window.addEventListener("hashchange", () => (location.hash.includes("code=") ? start() : showView()));
document.addEventListener("visibilitychange", () => { if (!document.hidden) refreshStatus(); });
$("unlock").addEventListener("click", refreshStatus);
$("look-again").addEventListener("click", refreshStatus);
$("skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey) {
    if (event.target.closest("input, textarea, select") || $("page").inert) return;
    event.preventDefault();
    mainBox().focus();
    mainBox().select();
  }
  if (event.key === "Escape") {
    if (running && (event.target === $("question") || $("source").hidden)) running.controller.abort();
    else closeSource();
  }
});

// ---- light and dark

function storedTheme() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const label = dark ? "Use light colours" : "Use dark colours";
  $("theme").setAttribute("aria-label", label);
  $("theme").title = label;
  $("theme").onclick = () => {
    const other = dark ? "light" : "dark";
    try {
      localStorage.setItem("theme", other);
    } catch {
      // Without storage the choice holds until the page is closed.
    }
    setTheme(other);
  };
}

setTheme(storedTheme());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(storedTheme()));

// ---- which documents

for (const details of document.querySelectorAll(".narrow")) {
  details.append($("filters").content.cloneNode(true));
  const fields = details.querySelectorAll("input, select");
  const summary = details.querySelector("summary");
  const count = () => {
    const used = [...fields].filter((field) => field.value.trim()).length;
    summary.textContent = used ? `Only some documents (${counted(used, "limit")} set)` : "Only some documents";
  };
  details.addEventListener("input", count);
  details.querySelector("[type=reset]").addEventListener("click", (event) => {
    event.preventDefault();
    for (const field of fields) field.value = "";
    count();
  });
}

function readFilter({ elements }) {
  const value = (name) => elements[name].value.trim() || undefined;
  const filter = {
    under: value("under"),
    languages: value("languages")?.toLowerCase().split(/[\s,;]+/).filter(Boolean),
    formats: value("format") && [value("format")],
    collection: value("collection"),
    since: value("since"),
    before: value("before"),
  };
  return Object.values(filter).some(Boolean) ? filter : undefined;
}

function filterText(filter) {
  const limits = Object.entries(filter).filter(([, value]) => value);
  return `Only ${limits.map(([name, value]) => `${LIMITS[name]} ${[value].flat().join(", ")}`).join(" · ")}`;
}

// ---- places in documents

function fileName({ path, part }) {
  const name = path.split(/[/\\]/).filter(Boolean).pop() ?? path;
  return part ? `${name} › ${part}` : name;
}

function whereText({ document: { title }, page, part, heading }) {
  // The first heading is often the title, which stands beside the file's name already.
  const below = heading[0] === title ? heading.slice(1) : heading;
  return [page && `page ${page}`, part, below.join(" › ")].filter(Boolean).join(" · ");
}

/** The button that opens a place beside the answer: file, title and where in it. */
function placeButton(place, number) {
  const { title } = place.document;
  const name = fileName(place.document);
  const where = whereText(place);
  return make("button", { type: "button", className: "place", onclick: (event) => openSource(place, event.currentTarget) },
    number ? make("span", { className: "number" }, String(number)) : null,
    make("span", { className: "file", dir: "auto" }, name),
    title && title !== name ? make("span", { className: "title", dir: "auto" }, title) : null,
    where ? make("span", { className: "where", dir: "auto" }, where) : null);
}

function passageItem(hit, words = []) {
  return openable(make("li", {}, placeButton(hit),
    make("p", { className: "snippet", dir: "auto", lang: hit.document.language ?? "" }, ...marked(snippet(hit.text), words))));
}

/** A click anywhere on the item opens it, but not the end of selecting its text. */
function openable(item) {
  item.addEventListener("click", (event) => {
    if (!event.target.closest("button") && getSelection().isCollapsed) item.querySelector("button").click();
  });
  return item;
}

function snippet(text) {
  const characters = [...text.trim()];
  if (characters.length <= SNIPPET_CHARACTERS) return characters.join("");
  return `${characters.slice(0, SNIPPET_CHARACTERS).join("").replace(/\s+\S*$/, "")} …`;
}

/** `text` with the words of a query in it marked: longer words as beginnings of words, so that plurals count. */
function marked(text, words) {
  if (words.length === 0) return [text];
  const unspaced = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u;
  const patterns = [...words].sort((a, b) => b.length - a.length).map((word) => {
    if (unspaced.test(word)) return word;
    return `(?<![\\p{L}\\p{N}])${word}${word.length > 3 ? "[\\p{L}\\p{N}]*" : "(?![\\p{L}\\p{N}])"}`;
  });
  return text.split(new RegExp(`(${patterns.join("|")})`, "giu")).map((piece, at) => (at % 2 ? make("mark", {}, piece) : piece));
}

/** The words of a query that are worth marking: not the unwanted ones, not those that stand everywhere. */
function wordsOf(query) {
  const words = query.replace(/(^|\s)-\S+/g, " ").match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];
  return words.filter((word) => !COMMON_WORDS.has(word.toLowerCase()));
}

// ---- the source beside the answer

const source = { place: null, opener: null, controller: null, start: 0, end: 0, total: 0 };
const sheet = matchMedia("(max-width: 63.99rem)");

function openSource(place, opener) {
  source.controller?.abort();
  Object.assign(source, { place, opener, controller: new AbortController() });
  const { document: from } = place;
  $("source-title").textContent = fileName(from);
  $("source-where").textContent = [from.title, whereText(place)].filter(Boolean).join(" · ");
  $("source-path").textContent = from.path;
  $("source-stale").hidden = !from.stale;
  $("source-text").lang = from.language ?? "";
  $("source-text").replaceChildren();
  $("source-trouble").replaceChildren();
  $("source-earlier").hidden = true;
  $("source-later").hidden = true;
  $("source-foot").textContent = "Opening…";
  $("source").hidden = false;
  $("app").classList.add("with-source");
  for (const item of document.querySelectorAll(".open")) item.classList.remove("open");
  opener.closest("li, .reference")?.classList.add("open");
  coverPage();
  $("source-title").focus({ preventScroll: true });
  loadSource();
}

/** On a small screen the source covers the page, so that nothing behind it may take the focus. */
function coverPage() {
  $("page").inert = sheet.matches && !$("source").hidden;
}

function closeSource() {
  if ($("source").hidden) return;
  source.controller.abort();
  $("source").hidden = true;
  $("app").classList.remove("with-source");
  for (const item of document.querySelectorAll(".open")) item.classList.remove("open");
  coverPage();
  const opener = source.opener.checkVisibility?.() ?? source.opener.isConnected ? source.opener : mainBox();
  opener.focus();
}

function readText(start, end) {
  const { place, controller } = source;
  const path = `documents/${place.document.id}/text?start=${start}&end=${end}`;
  return callJson("GET", path, { signal: controller.signal });
}

async function loadSource() {
  const { place: { span }, controller } = source;
  const start = span ? Math.max(0, span.start - MARGIN_BYTES) : 0;
  const end = span ? Math.min(span.end + MARGIN_BYTES, start + MOST_BYTES) : 2 * MARGIN_BYTES;
  try {
    const given = await readText(start, end);
    if (controller.signal.aborted) return;
    Object.assign(source, { start: given.start, end: given.end, total: given.total_bytes });
    showText(given.text, span && { start: span.start - given.start, end: span.end - given.start });
    showExtent();
  } catch (problem) {
    if (controller.signal.aborted) return;
    $("source-foot").textContent = "";
    showProblem($("source-trouble"), problem, loadSource);
  }
}

function showText(text, quote) {
  const body = $("source-body");
  if (!quote) {
    $("source-text").replaceChildren(text);
    body.scrollTop = 0;
    return;
  }
  const [before, cited, after] = cutAtBytes(text, quote.start, quote.end);
  const mark = make("mark", { tabIndex: -1 }, cited);
  $("source-text").replaceChildren(before, cited ? mark : "", after);
  body.scrollTop = mark.offsetTop - body.clientHeight / 4;
  // Scrolling by focus would move the answer as well.
  mark.focus({ preventScroll: true });
}

/** The server counts bytes of UTF-8, the browser units of UTF-16. */
function cutAtBytes(text, start, end) {
  const bytes = new TextEncoder().encode(text);
  const piece = (from, to) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(Math.max(0, from), Math.max(0, to)));
  return [piece(0, start), piece(start, end), piece(end, bytes.length)];
}

function showExtent() {
  const { start, end, total } = source;
  $("source-earlier").hidden = start === 0;
  $("source-later").hidden = end >= total;
  const percent = (bytes) => `${Math.round((100 * bytes) / total)}\u00a0%`;
  $("source-foot").textContent = start === 0 && end >= total ? "The whole text" : `From ${percent(start)} to ${percent(end)} of the text`;
}

async function loadMore(earlier) {
  const { controller } = source;
  const body = $("source-body");
  try {
    const given = await (earlier ?
      readText(Math.max(0, source.start - 2 * MARGIN_BYTES), source.start) : readText(source.end, source.end + 2 * MARGIN_BYTES));
    if (controller.signal.aborted) return;
    if (earlier && given.end === source.start) {
      const below = body.scrollHeight - body.scrollTop;
      $("source-text").prepend(given.text);
      source.start = given.start;
      showExtent();
      body.scrollTop = body.scrollHeight - below;
    } else if (!earlier && given.start === source.end) {
      $("source-text").append(given.text);
      source.end = given.end;
      showExtent();
    }
    // A button that is gone has dropped the focus.
    if (document.activeElement === document.body) body.focus({ preventScroll: true });
  } catch (problem) {
    if (!controller.signal.aborted) showProblem($("source-trouble"), problem, () => loadMore(earlier));
  }
}

sheet.addEventListener("change", coverPage);
$("source-close").addEventListener("click", closeSource);
$("source-earlier").addEventListener("click", () => loadMore(true));
$("source-later").addEventListener("click", () => loadMore(false));

// ---- asking

const turns = [];
let running = null;
let shown = null;
/** The conversation of these turns, once something of it is kept. */
let chat = null;

function ask(question, filter, quotesOnly, earlier = saidBefore()) {
  running?.controller.abort();
  $("spoken").replaceChildren();
  const turn = newTurn(question, filter, earlier);
  turn.mode = quotesOnly ? "extract" : undefined;
  turns.unshift(turn);
  running = turn;
  showTurn(turn);
  follow(turn);
}

const saidBy = (question, { standalone, answer }) => ({ question: standalone ?? question, answer });

/** What a question may lean on: the last questions that came to an end, oldest first. */
function saidBefore() {
  return turns.flatMap(({ said }) => said ?? []).slice(0, SAID_BEFORE).reverse();
}

function newTurn(question, filter, earlier) {
  const turn = {
    question, filter, earlier, controller: new AbortController(), began: performance.now(),
    state: "running", outcome: "being answered", draft: "", sentences: [], citations: [],
    doing: make("span", {}, "Finding and reading the passages…"),
    // Counting aloud would talk over the answer.
    seconds: make("span", { className: "seconds", "aria-hidden": "true" }, "0 s"),
    settledText: make("span"),
    draftText: make("span", { className: "draft", "aria-hidden": "true" }),
    understood: make("p", { className: "quiet", dir: "auto", hidden: true }),
    below: make("div"),
    noteList: make("ol", { className: "notes" }),
    after: make("div"),
  };
  turn.progress = make("p", { className: "progress" }, turn.doing, " ", turn.seconds, button("Stop", () => turn.controller.abort()));
  turn.notes = make("section", { hidden: true, "aria-label": "Notes" }, make("h3", {}, "Notes"), turn.noteList);
  turn.article = make("article", { className: "turn" },
    make("h2", { dir: "auto" }, question),
    turn.understood,
    filter ? make("p", { className: "quiet" }, filterText(filter)) : null,
    turn.progress,
    make("p", { className: "answer", dir: "auto" }, turn.settledText, turn.draftText),
    turn.below, turn.notes, turn.after);
  return turn;
}

function showTurn(turn) {
  shown = turn;
  $("answer").replaceChildren(turn.article);
  listTurns();
}

function listTurns() {
  const others = turns.filter((turn) => turn !== shown);
  $("earlier").hidden = others.length === 0;
  $("new-conversation").hidden = turns.length === 0;
  $("turns").replaceChildren(...others.map((turn) => make("li", {},
    make("button", { type: "button", className: "link", dir: "auto", onclick: () => reopen(turn) }, turn.question),
    make("span", { className: "quiet" }, ` ${turn.outcome}`))));
}

function reopen(turn) {
  showTurn(turn);
  const heading = turn.article.querySelector("h2");
  heading.tabIndex = -1;
  heading.focus();
}

async function follow(turn) {
  const { controller: { signal }, question, filter, mode, earlier } = turn;
  const clock = setInterval(() => {
    turn.seconds.textContent = `${Math.floor((performance.now() - turn.began) / 1000)} s`;
  }, 250);
  announce("Finding and reading the passages.");
  try {
    // What is kept is known to the server.
    const send = () => {
      const context = chat === null ? { earlier, keep: true } : { chat };
      return call("POST", "ask", { body: { question, filter, mode, stream: true, ...context }, signal });
    };
    const response = await send().catch((problem) => {
      if (problem.status !== 404 || chat === null) throw problem;
      // It was deleted elsewhere: what is said here goes on in another.
      chat = null;
      return send();
    });
    for await (const { name, data } of serverEvents(response.body)) {
      if (signal.aborted) break;
      hear(turn, name, data);
    }
    signal.throwIfAborted();
    if (turn.state === "running") throw brokeOff();
  } catch (error) {
    if (turn.state === "running") breakOff(turn, error);
  } finally {
    clearInterval(clock);
    if (running === turn) running = null;
    saveFocus(turn.progress);
    turn.progress.remove();
    turn.draftText.remove();
    listTurns();
  }
}

function hear(turn, name, data) {
  if (name === "understood") {
    showUnderstood(turn, data.text);
  } else if (name === "token") {
    if (!turn.draft) turn.doing.textContent = "Writing a draft, then checking each sentence…";
    showDraft(turn, turn.draft + data.text);
  } else if (name === "sentence") {
    takeFromDraft(turn, data.sentence.text);
    settle(turn, data.sentence, data.citations);
    announce(spokenSentence(data.sentence));
  } else if (name === "retract") {
    takeFromDraft(turn, data.text);
  } else if (name === "final") {
    finish(turn, data);
  } else if (name === "error") {
    throw new Problem(data);
  }
}

function showUnderstood(turn, text) {
  turn.understood.hidden = false;
  turn.understood.textContent = `Understood as: ${text}`;
}

function showDraft(turn, draft) {
  turn.draft = draft;
  turn.draftText.textContent = turn.draft;
}

/** What is not found in the draft was worded anew, so the draft as a whole gives way to it. */
function takeFromDraft(turn, text) {
  showDraft(turn, turn.draft.includes(text) ? turn.draft.replace(text, () => "") : "");
}

function settle(turn, sentence, citations) {
  for (const citation of citations) {
    if (!turn.citations.some(({ n }) => n === citation.n)) turn.citations.push(citation);
  }
  turn.sentences.push(sentence);
  turn.settledText.append(make("span", { className: sentence.supported ? "settled" : "settled unsupported" },
    ...emphasised(sentence),
    ...sentence.citations.map((n) => reference(turn, n)),
    sentence.supported ? null : make("span", { className: "badge" }, "no note")), " ");
  showNotes(turn);
}

/** The words of a sentence, with those that answer the question standing out. */
function emphasised({ text, short }) {
  const at = short ? text.indexOf(short) : -1;
  return at < 0 ? [text] : [text.slice(0, at), make("strong", {}, short), text.slice(at + short.length)];
}

function reference(turn, n) {
  const citation = turn.citations.find((other) => other.n === n);
  if (!citation) return null;
  const open = (event) => openSource(citation, event.currentTarget);
  return make("sup", { className: "reference" },
    make("button", { type: "button", "aria-label": `[${n}] Note ${n}: ${fileName(citation.document)}`, onclick: open }, `[${n}]`));
}

function showNotes(turn) {
  turn.notes.hidden = turn.citations.length === 0;
  const listed = turn.noteList.children.length;
  turn.noteList.append(...turn.citations.slice(listed).map((citation) => openable(make("li", {},
    placeButton(citation, citation.n),
    make("blockquote", { dir: "auto", lang: citation.document.language ?? "" }, citation.quote)))));
}

function spokenSentence({ text, citations }) {
  return citations.length ? `${text} (${citations.length === 1 ? "note" : "notes"} ${citations.join(", ")})` : text;
}

function finish(turn, final) {
  turn.state = "done";
  turn.said = saidBy(final.question, final);
  if (final.chat === null && chat !== null) turn.after.append(make("p", { className: "quiet" }, "This answer could not be kept."));
  if (final.chat !== null && final.chat !== chat) {
    chat = final.chat;
    loadChats();
  }
  if (final.standalone) showUnderstood(turn, final.standalone);
  const key = ({ text, citations }) => `${text} ${citations}`;
  // Drawn anew only where it differs: a focused note keeps its focus.
  if (turn.sentences.map(key).join("\n") !== final.sentences.map(key).join("\n")) {
    Object.assign(turn, { sentences: [], citations: [] });
    turn.settledText.replaceChildren();
    turn.noteList.replaceChildren();
    for (const sentence of final.sentences) settle(turn, sentence, final.citations);
    showNotes(turn);
  }
  const reason = showReason(turn, final);
  if (!final.answered && final.passages.length > 0) {
    turn.below.append(make("h3", {}, "Closest passages"),
      make("ol", { className: "passages" }, ...final.passages.slice(0, 3).map((hit) => passageItem(hit, wordsOf(turn.question)))));
  }
  announce(final.answered ? `The answer is complete. ${reason ?? ""}` : `The documents do not say. ${reason ?? ""}`);
  turn.after.append(make("p", { className: "actions" }, final.answered ? button("Copy with notes", copyAnswer(turn)) : null, changeButton(turn)),
    howFound(final));
}

function showReason(turn, answer) {
  const reason = answer.reason?.replace(/^The documents do not say\.\s*/, "");
  if (!answer.answered) turn.below.append(make("p", { className: "unsaid" }, "The documents do not say."));
  if (reason) turn.below.append(make("p", { className: "reason", dir: "auto" }, reason));
  turn.outcome = answer.answered ? counted(turn.citations.length, "note") : "not in the documents";
  return reason;
}

const changeButton = (turn) => button("Change the question", () => {
  $("question").value = turn.question;
  fitBox();
  $("question").focus();
});

const againButton = (turn) => button("Ask again", () => askAgain(turn));

function askAgain(turn) {
  saveFocus(turn.article);
  turns.splice(turns.indexOf(turn), 1);
  ask(turn.question, turn.filter, turn.mode === "extract", turn.earlier);
}

function breakOff(turn, error) {
  const stopped = turn.controller.signal.aborted;
  turn.state = stopped ? "stopped" : "failed";
  turn.outcome = turn.state;
  if (stopped) {
    announce("Stopped.");
    turn.below.append(make("p", { className: "reason" }, turn.sentences.length ? "Stopped here." : "Stopped before a sentence was checked."));
    turn.after.append(make("p", { className: "actions" }, againButton(turn), changeButton(turn)));
  } else {
    if (!(error instanceof Problem)) console.error(error);
    showProblem(turn.below, error instanceof Problem ? error : brokeOff(), () => askAgain(turn));
  }
}

function copyAnswer(turn) {
  return async ({ currentTarget: pressed }) => {
    const answer = turn.sentences.map(({ text, citations }) => `${text} ${citations.map((n) => `[${n}]`).join("")}`).join(" ");
    const notes = turn.citations.map((note) => {
      const place = [note.document.path, whereText(note)].filter(Boolean).join(", ");
      return `[${note.n}] ${place}\n    “${note.quote}”`;
    });
    const done = await navigator.clipboard.writeText([answer, ...notes].join("\n\n")).then(() => "Copied", () => "The browser did not allow it");
    pressed.textContent = done;
    announce(done);
    await pause(2000);
    pressed.textContent = "Copy with notes";
  };
}

function howFound(final) {
  const leftOut = new Map(final.left_out.map((left) => [left.chunk, left]));
  const saying = (left) => `${counted(left.tokens, "token")} left out: ${left.why}`;
  const looked = final.passages.map((hit) => make("li", {}, placeButton(hit),
    leftOut.has(hit.chunk) ? make("span", { className: "quiet left" }, ...withCode(saying(leftOut.get(hit.chunk)))) : null));
  const unlisted = final.left_out.filter(({ chunk }) => !final.passages.some((hit) => hit.chunk === chunk));
  const documents = new Set(final.passages.map((hit) => hit.document.id)).size;
  const time = final.timings_ms;
  const tokens = final.tokens;
  return make("details", { className: "found" }, make("summary", {}, "How this was found"),
    make("p", {}, `Looked at ${counted(final.passages.length, "passage")} of ${counted(documents, "document")}, best first:`),
    make("ol", { className: "looked" }, ...looked,
      ...unlisted.map((left) => make("li", { className: "quiet" }, `passage ${left.chunk}: `, ...withCode(saying(left))))),
    facts([
      ["Confidence", `${Math.round(final.confidence * 100)} %`],
      ["Model", final.model ? `${final.model}, seed ${final.seed}` : "none: quotes alone"],
      ["Tokens", `${tokens.prompt.toLocaleString()} read (${tokens.reused.toLocaleString()} known from before), ${tokens.generated.toLocaleString()} written`],
      ["Opening the models", milliseconds(time.load)],
      ["Finding passages", milliseconds(time.retrieve)],
      ["Of that, ordering them", milliseconds(time.rerank)],
      ["Reading the prompt", milliseconds(time.prefill)],
      ["Writing", milliseconds(time.decode)],
      ["First draft word after", milliseconds(time.first_token)],
      ["First checked sentence after", milliseconds(time.first_sentence)],
      ["All of it", milliseconds(time.total)],
    ]));
}

const milliseconds = (ms) => ms == null ? null : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;

function facts(rows) {
  const known = rows.filter(([, value]) => value != null);
  return make("dl", {}, ...known.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

// ---- conversations

function newConversation() {
  running?.controller.abort();
  chat = null;
  shown = null;
  turns.length = 0;
  $("answer").replaceChildren();
  listTurns();
  loadChats();
}

async function loadChats() {
  try {
    const { chats } = await callJson("GET", "chats");
    const past = chats.filter(({ id }) => id !== chat);
    $("past").hidden = past.length === 0;
    $("chats").replaceChildren(...past.map(chatItem));
    $("chats-trouble").replaceChildren();
  } catch (problem) {
    showProblem($("chats-trouble"), problem, loadChats);
  }
}

function chatItem({ id, first_question, turns: count, last, collection }) {
  const day = last && new Date(last).toLocaleDateString(undefined, { dateStyle: "medium" });
  const about = [counted(count, "question"), day, collection].filter(Boolean).join(" · ");
  const row = make("li", {},
    make("button", { type: "button", className: "link", dir: "auto", onclick: () => openChat(id) }, first_question),
    make("span", { className: "quiet" }, ` ${about}`));
  row.append(confirming({
    label: "Delete", name: first_question, question: "Delete this conversation?", yes: "Delete it",
    act: (box) => deleteChat(id, row, box),
  }));
  return row;
}

/** Shows a conversation that was kept, its last question first; the next question goes on with it. */
async function openChat(id) {
  try {
    const kept = await callJson("GET", `chats/${id}`);
    newConversation();
    chat = id;
    const filter = kept.collection ? { collection: kept.collection } : undefined;
    for (const { question, answer } of kept.turns) turns.unshift(keptTurn(question, answer, filter));
    const limits = $("ask-form").elements;
    limits.collection.value = kept.collection ?? "";
    limits.collection.dispatchEvent(new Event("input", { bubbles: true }));
    reopen(turns[0]);
    loadChats();
  } catch (problem) {
    showProblem($("chats-trouble"), problem, () => openChat(id));
  }
}

function keptTurn(question, answer, filter) {
  const turn = newTurn(question, filter, []);
  turn.state = "done";
  turn.progress.remove();
  turn.draftText.remove();
  if (!answer) {
    turn.outcome = "forgotten";
    turn.below.append(make("p", { className: "reason" }, "Forgotten: a document that this answer rests on was removed or has changed."));
  } else {
    turn.said = saidBy(question, answer);
    if (answer.standalone) showUnderstood(turn, answer.standalone);
    for (const sentence of answer.sentences) settle(turn, sentence, answer.citations);
    showReason(turn, answer);
  }
  turn.after.append(make("p", { className: "actions" }, answer?.answered ? button("Copy with notes", copyAnswer(turn)) : null, changeButton(turn)));
  return turn;
}

async function deleteChat(id, row, box) {
  try {
    await call("DELETE", `chats/${id}`);
  } catch (problem) {
    return showProblem(box, problem, () => deleteChat(id, row, box));
  }
  announce("Deleted.");
  const next = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  $("past").hidden = $("chats").children.length === 0;
  (next?.querySelector("button") ?? $("question")).focus();
}

$("new-conversation").querySelector("button").addEventListener("click", () => {
  newConversation();
  $("question").focus();
});

function fitBox() {
  const box = $("question");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`;
}

$("question").addEventListener("input", fitBox);
$("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("ask-form").requestSubmit();
});
$("ask-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (!question) return $("question").focus();
  const filter = readFilter(event.target);
  $("question").value = "";
  fitBox();
  // The keyboard on a small screen would cover the answer.
  if (!matchMedia("(pointer: fine)").matches) $("question").blur();
  ask(question, filter, event.target.elements.quotes.checked);
});

// ---- searching

let searching = null;

async function search(form) {
  const query = $("query").value.trim();
  if (!query) return $("query").focus();
  searching?.abort();
  const { signal } = searching = new AbortController();
  $("search-summary").textContent = "Searching…";
  $("search-trouble").replaceChildren();
  try {
    const body = { query, mode: $("mode").value, limit: 20, filter: readFilter(form) };
    const report = await callJson("POST", "search", { body, signal });
    if (!signal.aborted) showHits(report);
  } catch (problem) {
    if (signal.aborted) return;
    $("search-summary").textContent = "";
    showProblem($("search-trouble"), problem, () => search(form));
  }
}

function showHits({ query, hits, hint, timings_ms: time }) {
  const words = wordsOf(query);
  const found = hits.length ? counted(hits.length, "passage") : "Nothing found";
  $("search-summary").textContent = `${found}, ${milliseconds(time.total)}`;
  $("search-hint").hidden = !hint;
  $("search-hint").textContent = hint ?? "";
  $("hits").replaceChildren(...hits.map((hit) => passageItem(hit, words)));
}

$("search-form").addEventListener("submit", (event) => {
  event.preventDefault();
  search(event.target);
});

// ---- the documents

let listed = [];
let rows = ROWS;
let listing = null;

async function loadDocuments() {
  listing?.abort();
  const { signal } = listing = new AbortController();
  try {
    const { documents } = await callJson("GET", "documents", { signal });
    if (signal.aborted) return;
    listed = documents;
    $("documents-trouble").replaceChildren();
    showDocuments();
  } catch (problem) {
    if (!signal.aborted) showProblem($("documents-trouble"), problem, loadDocuments);
  }
}

function showDocuments() {
  const words = $("filter").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const matches = listed.filter((item) => {
    const text = [item.title, item.path, item.part, item.collection, languageName(item.language)].join(" ").toLocaleLowerCase();
    return words.every((word) => text.includes(word));
  });
  const changed = listed.filter(({ stale }) => stale).length;
  $("documents-lead").textContent = listed.length ?
    `${counted(listed.length, "document")}, read and ready to be asked${changed ? `; ${counted(changed, "file")} changed since` : ""}.` : "None yet.";
  $("documents-summary").textContent = words.length ? `${counted(matches.length, "document")} of ${listed.length.toLocaleString()}` : "";
  const held = document.activeElement.closest("#documents li")?.dataset.id;
  $("documents").replaceChildren(...matches.slice(0, rows).map(documentItem));
  if (held) $("documents").querySelector(`[data-id="${held}"] button`)?.focus();
  $("more-documents").hidden = matches.length <= rows;
}

const languageNames = new Intl.DisplayNames(["en"], { type: "language" });

function languageName(code) {
  try {
    return code && languageNames.of(code);
  } catch {
    return code;
  }
}

function documentItem(item) {
  const open = (event) => openSource({ document: item, page: null, part: null, heading: [], span: null }, event.currentTarget);
  const facts = [
    languageName(item.language),
    item.page_count && counted(item.page_count, "page"),
    item.modified && new Date(item.modified).toLocaleDateString(undefined, { dateStyle: "medium" }),
    item.collection !== "default" && item.collection,
  ].filter(Boolean);
  const row = make("li", {},
    make("div", { className: "document" },
      make("button", { type: "button", className: "link", dir: "auto", onclick: open }, item.title || fileName(item)),
      make("p", { className: "path" }, item.part ? `${item.path} › ${item.part}` : item.path),
      make("p", { className: "quiet" }, facts.join(" · "), item.stale ? make("span", { className: "badge" }, "changed since") : null)));
  row.dataset.id = item.id;
  row.append(confirming({
    label: "Forget", name: item.title || fileName(item), question: "Forget this document? Its file stays where it is.", yes: "Forget it",
    act: (box) => forgetDocument(item, row, box),
  }));
  return row;
}

/** A button whose deed cannot be undone, and the question before it is done. */
function confirming({ label, name, question, yes, act }) {
  const box = make("div", { className: "forget" });
  const offer = () => {
    const first = button(label, confirm);
    first.setAttribute("aria-label", `${label} ${name}`);
    box.replaceChildren(first);
    return first;
  };
  const confirm = () => {
    const keep = button("Keep it", () => offer().focus());
    box.replaceChildren(make("p", {}, question),
      make("p", { className: "actions" }, button(yes, () => act(box), "danger"), keep));
    keep.focus();
  };
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !box.querySelector(".danger")) return;
    event.preventDefault();
    offer().focus();
  });
  offer();
  return box;
}

async function forgetDocument(item, row, box) {
  try {
    await call("DELETE", `documents/${item.id}`);
  } catch (problem) {
    return showProblem(box, problem, () => forgetDocument(item, row, box));
  }
  announce(`Forgotten: ${item.title || fileName(item)}`);
  if (source.place?.document.id === item.id) closeSource();
  const next = row.nextElementSibling ?? row.previousElementSibling;
  listed = listed.filter(({ id }) => id !== item.id);
  row.remove();
  (next?.querySelector("button") ?? $("filter")).focus();
  refreshStatus();
}

$("filter").addEventListener("input", () => {
  rows = ROWS;
  showDocuments();
});
$("more-documents").addEventListener("click", () => {
  const first = rows;
  rows += ROWS;
  showDocuments();
  $("documents").children[first]?.querySelector("button").focus();
});

// ---- reading a folder

async function loadJobs() {
  try {
    const { jobs, roots } = await callJson("GET", "ingest");
    $("ingest-form").hidden = roots.length === 0;
    $("ingest-terminal").hidden = roots.length > 0;
    $("empty-roots").hidden = roots.length === 0;
    $("roots").replaceChildren(...roots.map((root) => new Option(root, root)));
    $("roots-line").textContent = `Folders in ${roots.join(", ")} may be added here.`;
    const job = jobs.find(({ state }) => state === "running");
    if (job) followJob(job);
  } catch {
    $("ingest-terminal").hidden = false;
  }
}

async function beginIngest({ path, collection }) {
  try {
    followJob(await callJson("POST", "ingest", { body: { paths: [path], collection: collection || undefined } }));
  } catch (problem) {
    showProblem($("job"), problem, problem.kind === "outside_roots" ? null : () => beginIngest({ path, collection }));
  }
}

async function followJob(job) {
  const line = make("p", { className: "job-line" });
  const bar = make("progress", { "aria-label": "Files read" });
  const trouble = make("div");
  const stop = button("Cancel", () => call("DELETE", `ingest/${job.id}`).catch((problem) => showProblem(trouble, problem)));
  $("job").replaceChildren(make("div", { className: "job" }, line, bar, stop, trouble));
  const submit = $("ingest-form").querySelector("[type=submit]");
  submit.disabled = true;
  announce("Reading has begun.");
  try {
    while (job.state === "running") {
      showProgress(job, line, bar);
      await pause(POLL_MS);
      job = await callJson("GET", `ingest/${job.id}`);
    }
    showReport(job);
    refreshStatus();
  } catch (problem) {
    showProblem(trouble, problem, () => followJob(job));
  } finally {
    submit.disabled = false;
  }
}

function showProgress({ files, done, current }, line, bar) {
  if (files > 0) {
    bar.max = files;
    bar.value = done;
  }
  line.textContent = files > 0 ? `${done.toLocaleString()} of ${counted(files, "file")}` : "Looking for files…";
  if (current) line.append(make("span", { className: "path" }, ` ${current}`));
}

function showReport({ state, report, error }) {
  saveFocus($("job"));
  if (state === "failed") return showProblem($("job"), new Problem(error ?? {}));
  const counts = report ? [
    [report.added, "new"], [report.updated, "changed"], [report.unchanged, "unchanged"], [report.renamed, "renamed"], [report.removed, "gone"],
  ].filter(([n]) => n > 0).map(([n, what]) => `${n.toLocaleString()} ${what}`) : [];
  const summary = [
    state === "cancelled" ? "Cancelled; what was finished is kept." : "Done.",
    counts.length ? `Files: ${counts.join(", ")}.` : null,
    report ? `${counted(report.chunks, "passage")} in ${report.seconds.toFixed(1)} s.` : null,
  ].filter(Boolean).join(" ");
  announce(summary);
  $("job").replaceChildren(make("div", { className: "job" }, make("p", {}, summary), report?.failed.length ? failedFiles(report.failed) : null));
}

function failedFiles(failed) {
  return make("details", { open: failed.length <= 5 }, make("summary", {}, `${counted(failed.length, "file")} could not be read`),
    make("ul", { className: "failed" }, ...failed.map(({ path, reason }) => make("li", {},
      make("span", { className: "path" }, path), make("span", {}, ` ${reason}`)))));
}

$("ingest-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const { path, collection } = event.target.elements;
  beginIngest({ path: path.value.trim(), collection: collection.value.trim() });
});

start();
