//! What a console is made of.

use tokio::sync::watch;
use walhouse_pipeline::StatusBoard;

use crate::Recorder;
use crate::api::Stage;
use crate::ports::Ports;
use crate::security::Access;

/// A console before it is served.
#[derive(Clone, Debug)]
pub struct Console {
    /// The pipeline's state.
    pub board: StatusBoard,
    /// Whether there is a pipeline: a Connect worker has none.
    pub pipeline: bool,
    /// What is waited for, beside the pipeline's own ends, before all is ready; nothing any more when none.
    pub waits_for: watch::Receiver<Option<String>>,
    /// The process' metrics.
    pub recorder: Recorder,
    /// The pipe's stations in the order of the flow.
    pub stages: Vec<Stage>,
    /// What it can reach beyond the status board.
    pub ports: Ports,
    /// Who may ask for what.
    pub access: Access,
}

impl Console {
    /// A console that shows this board and these metrics, and nothing else.
    #[must_use]
    pub fn new(board: StatusBoard, recorder: Recorder) -> Self {
        let (_, waits_for) = watch::channel(None);
        let (stages, ports, access) = (Vec::new(), Ports::default(), Access::default());
        Self { board, pipeline: true, waits_for, recorder, stages, ports, access }
    }
}
