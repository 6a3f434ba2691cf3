// A call's journal, read: what was said and what happened, in order, and what the line was like. No drawing here.

import { ENGINES, ENDS, seconds } from './kit.js'

const name = (engine) => ENGINES[engine] ?? engine
const CAUSES = {
  status: (why) => `it answered ${why.status}`, dns: () => 'its name cannot be resolved', tls: () => 'its certificate is not good', timeout: () => 'it did not answer in time',
  unreachable: () => 'it cannot be reached', closed: (why) => `it closed the connection${why.code ? ` (${why.code})` : ''}`, stalled: () => 'it fell silent',
  failed: (why) => `it failed (${why.code})`, rolled_over: () => 'its session was about to reach its limit',
}
const cause = (why) => CAUSES[why?.cause]?.(why) ?? 'for a reason we do not know'
const COVERS = { speech: 'the agent was still speaking', line: 'a short line was played', tone: 'a short line, then a soft tone', nothing: 'too short to be noticed' }
const SUMS = ['frames_in', 'missing_in_ms', 'filled_ms', 'skipped_ms', 'frames_out', 'underruns', 'marks', 'mark_lag_ms_sum', 'malformed', 'unknown', 'dropped_ms', 'late_audio_ms']
const MAXIMA = ['interval_in_ms_max', 'queued_ms_max', 'mark_lag_ms_max']

export class Story {
  constructor() {
    Object.assign(this, { entries: [], last: null, zero: null, turns: new Map(), events: [], tools: new Map(), epochs: [], engines: [], audio: null, way: null, engine: null, firsts: new Map(), seen: new Set() })
  }

  /** Takes an entry of the API or of a live socket. Whether it was new. */
  add(entry) {
    const key = `${entry.epoch}.${entry.seq}`
    if (this.seen.has(key)) return false
    this.seen.add(key)
    const at = entry.at_ms ?? Date.parse(entry.at)
    this.entries.push({ ...entry, at_ms: at })
    if (!this.last || entry.epoch > this.last[0] || (entry.epoch === this.last[0] && entry.seq > this.last[1])) this.last = [entry.epoch, entry.seq]
    if (this.zero === null && entry.epoch > 0) this.zero = at
    if (entry.kind === 'stream_started' && entry.epoch === 1) this.shift(at)
    this.read(entry, at, key)
    return true
  }

  /** The first stream's beginning is zero, also for what happened before. */
  shift(at) {
    for (const event of this.events) event.ms += this.zero - at
    for (const epoch of this.epochs) epoch.ms += this.zero - at
    this.zero = at
  }

  get after() { return this.last ? `${this.last[0]}.${this.last[1]}` : undefined }
  get sorted() { return [...this.turns.values(), ...this.events].sort((a, b) => a.ms - b.ms || a.order - b.order) }
  get end() { return Math.max(1_000, ...[...this.turns.values()].map((turn) => turn.end ?? 0), ...this.events.map((event) => event.ms)) }

  read(entry, at, key) {
    const ms = at - this.zero
    const tell = (title, more = {}) => this.events.push({ key, ms, order: 1, kind: entry.kind, title, ...more })
    switch (entry.kind) {
      case 'stream_started':
        this.epochs.push({ epoch: entry.epoch, ms })
        if (entry.epoch > 1) tell('Another media stream took up the call', { tone: 'warn', detail: `Stream ${entry.epoch}; the conversation goes on where it was.` })
        break
      case 'engine_ready':
        this.engine = entry.engine
        this.engines.push({ engine: entry.engine, ms, resumed: entry.resumed })
        if (this.engines.length > 1 || entry.resumed) tell(`${name(entry.engine)} ${entry.resumed ? 'took the conversation up again' : 'took over'}`, { detail: `Ready after ${entry.took_ms} ms.` })
        break
      case 'engine_refused': tell(`${name(entry.engine)} could not be used`, { tone: 'warn', detail: `Because ${cause(entry.why)}. The next engine is tried.` }); break
      case 'engine_lost': if (entry.why?.cause !== 'rolled_over') tell(`${name(entry.engine)} was lost`, { tone: 'warn', detail: `Because ${cause(entry.why)}.` }); break
      case 'engine_resumed': tell(`The conversation goes on with ${name(entry.engine)}`, { detail: `No engine answered for ${seconds(entry.gap_ms)}; ${COVERS[entry.covered_by] ?? entry.covered_by}.` }); break
      case 'engine_error': tell(`${name(entry.engine)} reported an error`, { tone: 'warn', detail: `${entry.message} (${entry.code})` }); break
      case 'disclosure_heard': tell('The disclosure was heard to its end', { quiet: true }); break
      case 'line_played': tell(`A bundled line was played (${entry.line})`, { quiet: true }); break
      case 'language_changed': tell(`The caller speaks another language (${entry.language})`); break
      case 'dtmf': tell(`The caller pressed ${entry.digit}`); break
      case 'booking_recorded': tell('Booked', { tone: 'good', detail: [entry.what, entry.when, entry.name].filter(Boolean).join(' · ') }); break
      case 'instructed': tell('A person changed the instructions', { detail: entry.instructions }); break
      case 'commanded': tell('A person steered the call', { detail: entry.command }); break
      case 'gap': tell('Something is missing from the record', { tone: 'warn', detail: `${entry.what} (${seconds(entry.lost_ms)})` }); break
      case 'next_step': this.step(entry.next, tell); break
      case 'stream_ended': if (entry.why === 'lost') tell('The phone’s audio broke off', { tone: 'warn' }); break
      case 'tool_called': {
        const tool = { key: `tool-${entry.id}`, ms, order: 1, kind: 'tool', name: entry.name, arguments: entry.arguments, answer: null }
        this.tools.set(entry.id, tool)
        this.events.push(tool)
        break
      }
      case 'tool_answered': {
        const tool = this.tools.get(entry.id)
        if (tool) tool.answer = { ok: entry.ok, content: entry.content, took: entry.took_ms }
        break
      }
      case 'speaking': {
        const turn = this.turns.get(entry.n) ?? this.turns.set(entry.n, { key: `turn-${entry.n}`, kind: 'turn', n: entry.n, order: 0, ms: Math.max(0, ms), speaker: 'agent', text: '', said: [] }).get(entry.n)
        if (!turn.done) {
          turn.said.push(entry.text)
          turn.text = turn.said.join(' ')
          turn.speaking = true
        }
        break
      }
      case 'turn': {
        const before = this.turns.get(entry.n) ?? {}
        const heard = entry.speaker === 'caller' ? entry.text : entry.heard_text
        this.turns.set(entry.n, { ...before, key: `turn-${entry.n}`, kind: 'turn', n: entry.n, order: 0, ms: entry.start_ms, end: entry.end_ms, speaker: entry.speaker, text: entry.text, heard, cut: entry.speaker === 'agent' ? cutOff(entry) : '', approximate: entry.approximate, interrupted: entry.interrupted, heardMs: entry.heard_ms, engine: entry.engine, expressions: entry.expressions ?? [], remembered: entry.epoch === 0, speaking: false, done: true })
        break
      }
      case 'interrupted': {
        const turn = this.turns.get(entry.n)
        if (turn) Object.assign(turn, { dropped: entry.dropped_ms, interrupted: true })
        break
      }
      case 'first_sound': this.firsts.set(entry.n, entry); if (entry.way_ms !== undefined) this.way = entry.way_ms; break
      case 'measured': {
        this.audio ??= Object.fromEntries([...SUMS, ...MAXIMA].map((field) => [field, 0]))
        for (const field of SUMS) this.audio[field] += entry[field] ?? 0
        for (const field of MAXIMA) this.audio[field] = Math.max(this.audio[field], entry[field] ?? 0)
      }
    }
  }

  step(next, tell) {
    const by = { caller: 'The caller', agent: 'The agent', operator: 'A person', system: 'Switchboard' }
    if (next.step === 'hang_up') tell(`${by[next.ended_by] ?? 'Switchboard'} ended the call`, { detail: ENDS[next.reason] })
    else if (next.step === 'transfer') tell('The caller was connected with somebody else', { detail: next.to })
    else if (next.step === 'apologise') tell('The caller heard an apology', { tone: 'warn', detail: next.text })
    else tell('The call was handed over to another node')
  }
}

/** What of a sentence was not heard. */
function cutOff({ text, heard_text: heard, interrupted }) {
  if (!interrupted || text === heard) return ''
  if (text.startsWith(heard)) return text.slice(heard.length).trim()
  return text
}

/** All of a call's journal, or what follows `after`. */
export async function journal(api, id, after, signal) {
  const entries = []
  for (;;) {
    const page = await api(`/v1/calls/${encodeURIComponent(id)}/journal${after ? `?after=${after}` : ''}`, { signal })
    entries.push(...page.entries)
    if (!page.more) return entries
    after = page.next_after
  }
}
