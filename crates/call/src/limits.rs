//! Every bound of a call, with its reason. Reaching one has an outcome; none is a silent drop.

use std::time::Duration;

/// The length of one frame: 160 bytes of mu-law at 8 kHz, the cadence of Twilio's own audio.
pub const FRAME: Duration = Duration::from_millis(20);

/// Bytes, and samples, in a frame.
pub const FRAME_BYTES: usize = 160;

/// Samples in a millisecond on the phone's side.
pub const SAMPLES_PER_MS: u64 = 8;

/// A mark is sent after so much audio: a finer grain costs messages, a coarser one leaves what was heard to the clock.
pub const MARK_EVERY: Duration = Duration::from_millis(500);

/// Audio that may wait to be played. An engine sends a whole answer at once, faster than it is spoken; two minutes is
/// longer than any sentence a caller would sit through. What comes beyond is dropped and journaled as a gap.
pub const PLAYOUT_QUEUED_MAX: Duration = Duration::from_secs(120);

/// Audio kept for a stream that has not started yet: a disclosure with its greeting, the longest an agent may have.
pub const GREETING_KEPT_MAX: Duration = Duration::from_secs(60);

/// With so much waiting for the stream, the next part of the opening is asked for when it has started.
pub const GREETING_AHEAD: Duration = Duration::from_secs(6);

/// A frame that is this late is replaced with silence while the caller is silent, so that the engine's own clock goes on.
pub const UPWARD_PATIENCE: Duration = Duration::from_millis(40);

/// And this late while the caller speaks: frames come in bunches, and silence put into the middle of a word is heard.
pub const UPWARD_PATIENCE_SPEAKING: Duration = Duration::from_millis(200);

/// Silence that goes up after the caller's last sound, in debt or not: the engine ends the turn by it. EVI waits 800 ms
/// unless configured otherwise; the rest is margin.
pub const TURN_END_SILENCE: Duration = Duration::from_millis(1_200);

/// Silence sent in place of missing frames in one stall. A socket silent for longer is the watchdog's business.
pub const UPWARD_FILL_MAX: Duration = Duration::from_secs(20);

/// Caller's audio kept while no engine listens, newest first to stay: what was said in the last seconds is what the
/// engine must answer; more would only make it late.
pub const UPWARD_KEPT_MAX: Duration = Duration::from_secs(8);

/// After so much silence of the caller the line is between turns.
pub const QUIET_AFTER: Duration = Duration::from_millis(700);

/// From dialling an engine to its first message. A refusal comes faster; longer than this, the next engine is quicker.
pub const ENGINE_READY_WITHIN: Duration = Duration::from_millis(2_500);

/// An engine that was lost is dialled again for so long; then it is the next engine's turn.
pub const RESUME_WITHIN: Duration = Duration::from_secs(2);

/// With no other engine left, the same one is dialled for so long before the call is given up with an apology.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(15);

/// First pause between two dials; doubled each time, with jitter of a quarter.
pub const BACK_OFF_FIRST: Duration = Duration::from_millis(200);

/// Longest pause between two dials.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(2);

/// With no engine and nothing playing, the caller hears a bundled line after this: the promise is 1.5 s, and the line
/// itself begins with some milliseconds of silence.
pub const LINE_AFTER: Duration = Duration::from_millis(1_200);

/// An engine that owes an answer and sends none is covered with a line after this.
pub const FILLER_AFTER: Duration = Duration::from_secs(4);

/// An engine that owes an answer and sends none is given up after this.
pub const STALLED_AFTER: Duration = Duration::from_secs(10);

/// What is louder than this is taken for speech where no engine tells. Telephone noise lies around -55, quiet speech
/// above -40.
pub const SPEECH_ABOVE_DBFS: f32 = -42.0;

/// An engine that was given up so often without a word of its own between is not dialled again.
pub const STALLS_MAX: u8 = 3;

/// Speech of the caller shorter than this is a cough, and owes no answer.
pub const SPEECH_MIN: Duration = Duration::from_millis(400);

/// A goodbye is waited for, so that it is heard, but no longer than this beyond its length.
pub const GOODBYE_WITHIN: Duration = Duration::from_secs(10);

/// The engine stopped for the caller, and no words came of it: the caller is asked after this.
pub const ASK_AFTER: Duration = Duration::from_secs(3);

/// Keys pressed without a longer pause are one input.
pub const KEYS_PAUSE: Duration = Duration::from_millis(1_500);

/// Keys of one input; a card's number has 19.
pub const KEYS_MAX: usize = 32;

/// Sentences that wait for an engine to say them.
pub const SAY_LATER_MAX: usize = 8;

/// A prepared engine whose stream never comes is let go: Twilio gives up ringing after 60 s.
pub const PREPARED_MAX: Duration = Duration::from_secs(70);

/// A disclosure or greeting that the engine has not spoken to its end by then no longer holds up what follows.
pub const OPENING_WITHIN: Duration = Duration::from_secs(5);

/// A turn's last mark may be lost; the turn is closed by the clock so much after it was due.
pub const LAST_MARK_WITHIN: Duration = Duration::from_secs(3);

/// A mark this much later than its usual lag says that the phone has not played what the clock says.
pub const MARK_OVERDUE: Duration = Duration::from_millis(500);

/// Before a session limit, a fresh session is opened at the first quiet moment from this margin on.
pub const ROLL_OVER_MARGIN: Duration = Duration::from_secs(180);

/// And at this margin in any case.
pub const ROLL_OVER_LATEST: Duration = Duration::from_secs(20);

/// A roll-over that failed is tried again after this.
pub const ROLL_OVER_AGAIN: Duration = Duration::from_secs(20);

/// EVI ends a chat after 30 minutes, whatever its configuration says (Hume: "Timeouts").
pub const HUME_SESSION_MAX: Duration = Duration::from_secs(1_800);

/// OpenAI ends a session after 60 minutes (seen as close code 1001 with that reason).
pub const OPENAI_SESSION_MAX: Duration = Duration::from_secs(3_600);

/// Marks that may be on their way back. One is sent each half second; more would mean that none returns.
pub const MARKS_MAX: usize = 256;

/// The caller is asked for patience again after so much silence while a tool runs.
pub const FILLER_AGAIN: Duration = Duration::from_secs(6);

/// So long before a node's time is over, a call looks for a quiet moment to be handed over: turns seldom last longer.
pub const HAND_OVER_LOOK: Duration = Duration::from_secs(15);

/// How often the line's figures are journaled.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Tools that may run at once; the next one is answered with an error.
pub const TOOLS_MAX: usize = 8;

/// Turns handed to an engine that takes over. An hour's call has about 300; the oldest matter least.
pub const HISTORY_MAX: usize = 300;

/// Bytes of conversation in a prompt: some 4,000 tokens, the latest turns.
pub const CONVERSATION_BYTES_MAX: usize = 16 << 10;

/// Ids of cut-off sentences that are remembered, to drop their late audio.
pub const DEAD_IDS_MAX: usize = 64;

/// Sentences of one turn. A turn that long is a runaway engine: what follows is dropped and counted.
pub const SENTENCES_MAX: usize = 200;

/// Bytes of one message to or from an engine. EVI's largest seen was 150 kB for 2.3 s at 24 kHz.
pub const ENGINE_MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Bytes of one message from the phone: a frame is under 400, a start with its parameters under 8 kB.
pub const PHONE_MESSAGE_BYTES_MAX: usize = 64 << 10;
