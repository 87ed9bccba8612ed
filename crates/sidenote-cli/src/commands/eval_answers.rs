//! `sidenote eval answers`.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
};

use serde_json::{Value, json};
use sidenote::{AnswerScores, Config, EvalEvent};
use sidenote_http::{EvalAnswersReport, EvalComparison, to_safe_json};

use super::{
    Session,
    eval::{compared, no_earlier, opened, show},
};
use crate::{args::EvalAnswersArgs, exit::Exit, format::counted, progress::Progress};

const HOW_TO_KEEP: &str = "`sidenote eval answers SET --keep FILE` writes one";

/// Measures answers on a set.
pub(crate) fn run(session: &Session, args: &EvalAnswersArgs) -> anyhow::Result<Exit> {
    let output = &session.output;
    session.say_where_questions_go();
    let earlier = args.against.as_deref().map(|path| Ok::<_, anyhow::Error>((path, read_kept(path)?.1))).transpose()?;
    let (request, engine) = opened(session, &args.of)?;
    let (mut kept, known) = match args.keep.as_deref() {
        Some(path) => {
            let (file, known) = open_kept(path, engine.config())?;
            (Some(file), known)
        }
        None => (None, Vec::new()),
    };

    let mut progress = Progress::new(output.talk);
    let mut unkept = None;
    let report = engine.eval_answers(
        &request,
        known,
        &mut |event| {
            show(&mut progress, event);
            if let (EvalEvent::Answered(scores), Some(kept)) = (event, &mut kept)
                && let Err(error) = add(kept, scores)
            {
                unkept = Some(error);
                session.cancel.cancel();
            }
        },
        &session.cancel,
    );
    progress.finish();
    if let Some(error) = unkept {
        return Err(error);
    }
    let report = report?;
    let mut wire = EvalAnswersReport::from(&report);
    if let Some((path, earlier)) = &earlier {
        let comparison = report
            .against(earlier, args.of.seed)
            .ok_or_else(|| no_earlier(path, "has none of these questions", HOW_TO_KEEP))?;
        wire.comparisons.push(EvalComparison::new("served less earlier served", &comparison));
    }
    if output.json {
        output.print_json(&wire)?;
    } else {
        output.print(&shown(&wire))?;
    }
    Ok(if wire.comparisons.iter().all(|comparison| comparison.holds) { Exit::Done } else { Exit::Nothing })
}

/// The file of `--keep`, open at its end, and the answers in it. First stands a line with what answers depend on, then one for each.
fn open_kept(path: &Path, config: &Config) -> anyhow::Result<(fs_err::File, Vec<AnswerScores>)> {
    let made_with = made_with(config)?;
    let is_new = !fs_err::exists(path)? || fs_err::metadata(path)?.len() == 0;
    let known = if is_new {
        Vec::new()
    } else {
        let (before, known) = read_kept(path)?;
        if let Some(key) = first_difference(&before, &made_with) {
            let problem = format!("was made with another `{key}`");
            return Err(no_earlier(path, &problem, "name another file with --keep").into());
        }
        known
    };
    let mut options = fs_err::OpenOptions::new();
    options.create(true).append(true);
    // Questions and quotes are nobody else's business.
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    if is_new {
        writeln!(file, "{}", to_safe_json(&json!({ "made_with": made_with }))?)?;
    } else {
        // What was cut by a kill stays a line of its own.
        writeln!(file)?;
    }
    Ok((file, known))
}

fn add(kept: &mut fs_err::File, scores: &AnswerScores) -> anyhow::Result<()> {
    Ok(writeln!(kept, "{}", to_safe_json(scores)?)?)
}

/// What answers depend on: the program, and the settings but for folders, ingest, conversations and the endpoint.
fn made_with(config: &Config) -> anyhow::Result<Value> {
    let Config { models, chunk, index, embed, search, answer, llm, .. } = config;
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"), "models": models, "chunk": chunk, "index": index, "embed": embed,
        "search": search, "answer": answer, "llm": llm,
    }))
}

/// The first key that differs, with the section before it.
fn first_difference(before: &Value, now: &Value) -> Option<String> {
    let keys = now.as_object()?;
    keys.iter().find(|(key, value)| before[key.as_str()] != **value).map(|(key, value)| {
        first_difference(&before[key.as_str()], value).map_or_else(|| key.clone(), |inner| format!("{key}.{inner}"))
    })
}

/// What it was made with, and the answers in it. The last line may be half of one.
fn read_kept(path: &Path) -> anyhow::Result<(Value, Vec<AnswerScores>)> {
    let refuse = |problem: &str| no_earlier(path, problem, HOW_TO_KEEP);
    let file = fs_err::File::open(path).map_err(|error| refuse(&format!("cannot be read: {}", error.kind())))?;
    let mut lines = BufReader::new(file).lines();
    let first = lines.next().transpose().ok().flatten().and_then(|line| serde_json::from_str::<Value>(&line).ok());
    let Some(made_with) = first.and_then(|mut first| first.get_mut("made_with").map(Value::take)) else {
        return Err(refuse("is no file of answers").into());
    };
    let mut answers = Vec::new();
    for line in lines {
        let line = line.map_err(|error| refuse(&format!("cannot be read: {}", error.kind())))?;
        answers.extend(serde_json::from_str::<AnswerScores>(&line).ok());
    }
    Ok((made_with, answers))
}

fn shown(report: &EvalAnswersReport) -> String {
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let [low, high] = report.good_interval;
    let all = &report.answerable;
    let mut lines = vec![
        format!("{}: {}, {}", report.set, counted(report.questions, "question"), report.model),
        format!("served: {} ({} to {}, 95 %)", percent(Some(report.good)), percent(Some(low)), percent(Some(high))),
    ];
    if all.questions > 0 {
        lines.push(format!("{} that the documents answer", counted(all.questions, "question")));
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        for (what, value) in [
            ("answered", percent(Some(all.answered))),
            ("right", percent(all.right)),
            ("the answer was in what the model read", percent(all.read)),
            ("relevant documents that it read some of", percent(all.relevant_read)),
            ("right, of the answered", percent(all.right_of_answered)),
            ("exactly the answer, of these", percent(all.exact_of_answered)),
            ("token F1 of these", number(all.f1_of_answered)),
            ("with a note to the right document, of these", percent(all.with_right_note)),
            ("notes that are to the right document", percent(all.right_notes)),
            ("words of an answer, median", format!("{:.0}", all.words)),
        ] {
            lines.push(format!("    {what:<44} {value:>8}"));
        }
        for (what, value) in all.short.iter().flat_map(|short| {
            [
                ("right in short, of the answered", percent(short.right)),
                ("exactly the answer in short", percent(short.exact)),
                ("token F1 in short", number(short.f1)),
                ("words in short, median", format!("{:.0}", short.words)),
            ]
        }) {
            lines.push(format!("    {what:<44} {value:>8}"));
        }
    }
    if report.unanswerable.questions > 0 {
        lines.push(format!("{} that they do not answer", counted(report.unanswerable.questions, "question")));
        lines.push(format!("    {:<44} {:>8}", "refused", percent(report.unanswerable.refused)));
    }
    if !report.curve.is_empty() {
        lines.push(format!(
            "{:<26} {:>9} {:>15} {:>12} {:>12}",
            "answer.min_confidence", "answered", "wrong, of these", "well served", "refused"
        ));
    }
    for point in &report.curve {
        lines.push(format!(
            "{:<26.2} {:>9} {:>15} {:>12} {:>12}",
            point.threshold,
            percent(Some(point.coverage)),
            percent(Some(point.risk)),
            percent(Some(point.good)),
            percent(point.refused)
        ));
    }
    let seconds = |milliseconds: f64| milliseconds / 1000.0;
    lines.push(format!(
        "first token after {:.1} s, all after {:.1} s, at the median",
        seconds(report.timings_ms.first_token),
        seconds(report.timings_ms.total)
    ));
    lines.extend(report.comparisons.iter().map(compared));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_depend_on_is_compared_and_named() {
        let config = Config::default();
        let before = made_with(&config).unwrap();
        assert_eq!(first_difference(&before, &made_with(&config).unwrap()), None);
        let mut other = Config::default();
        other.answer.min_confidence = 0.0;
        assert_eq!(first_difference(&before, &made_with(&other).unwrap()).unwrap(), "answer.min_confidence");
        other = Config::default();
        other.paths.data = "/elsewhere".into();
        other.serve.port += 1;
        assert_eq!(first_difference(&before, &made_with(&other).unwrap()), None);
        assert_eq!(first_difference(&json!({}), &before).unwrap(), "answer.context");
    }
}
