use super::Session;
use crate::{args::ModelsCommand, exit::Exit};
pub(crate) fn run(_session: &Session, _command: &ModelsCommand) -> anyhow::Result<Exit> {
    Ok(Exit::Done)
}
