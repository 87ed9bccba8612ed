//! What waits for the thread that evaluates: first come, first served, and a generation that gave way comes again behind those
//! who waited.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender};

use llama_cpp_2::token::LlamaToken;

use crate::writing::Writing;
use crate::{ModelError, Prompt};

/// What the thread can do.
pub(crate) enum Command {
    /// Begin a generation, or go on with one that gave way.
    Generate(Box<Writing>),
    /// Say how likely the continuations are after the prompt.
    Score { prompt: Prompt, continuations: Vec<Vec<LlamaToken>>, reply: Sender<Result<Vec<f32>, ModelError>> },
}

pub(crate) struct Queue {
    commands: Receiver<Command>,
    waiting: VecDeque<Command>,
}

impl Queue {
    pub(crate) fn new(commands: Receiver<Command>) -> Self {
        Self { commands, waiting: VecDeque::new() }
    }

    /// The next command; `None` when nobody is left who could ask.
    pub(crate) fn next(&mut self) -> Option<Command> {
        self.take_in();
        self.waiting.pop_front().or_else(|| self.commands.recv().ok())
    }

    /// Whether somebody waits. Those who do not want to wait any longer are told that they need not.
    pub(crate) fn others_wait(&mut self) -> bool {
        self.take_in();
        !self.waiting.is_empty()
    }

    /// Puts a generation behind those who wait.
    pub(crate) fn come_again(&mut self, writing: Box<Writing>) {
        self.take_in();
        self.waiting.push_back(Command::Generate(writing));
    }

    /// Bytes of the states of generations that gave way.
    pub(crate) fn bytes_aside(&self) -> usize {
        let bytes = |command: &Command| match command {
            Command::Generate(writing) => writing.bytes_aside(),
            Command::Score { .. } => 0,
        };
        self.waiting.iter().map(bytes).sum()
    }

    fn take_in(&mut self) {
        self.waiting.extend(self.commands.try_iter());
        self.waiting.retain_mut(|command| match command {
            Command::Generate(writing) => !writing.end_if_cancelled(),
            Command::Score { .. } => true,
        });
    }
}
