//! Tools that the machine does not answer itself. This node runs none yet: the model is told so at once, and goes on.

use call::ToolRequest;

/// Runs a tool.
///
/// # Errors
/// In words for the model.
pub(crate) fn run(request: &ToolRequest) -> Result<String, String> {
    tracing::warn!(tool.name = request.name, "a tool was asked for that this node cannot run");
    Err("This tool is not available. Go on without it.".to_owned())
}
