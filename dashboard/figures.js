// How long callers wait and for whom, and what became of calls, over many days.

import { ENDS, ENGINES, add, api, dayName, daysAgo, empty, h, loading, options, put, refused, seconds, sentence, share } from './kit.js'
import { plot, table } from './plot.js'

const PARTS = { phone_up: 'Way from the phone', engine: 'Engine', node: 'Switchboard', phone_down: 'Way to the phone' }
const SPANS = [['7', 'Last 7 days'], ['30', 'Last 30 days'], ['90', 'Last 90 days'], ['365', 'Last year']]

export async function show(main, { query, signal, go }) {
  const days = SPANS.some(([span]) => span === query.get('days')) ? query.get('days') : '30'
  const engine = query.get('engine') in ENGINES ? query.get('engine') : ''
  const change = (name, value) => { const next = new URLSearchParams(query); if (value) next.set(name, value); else next.delete(name); go(`/figures?${next}`) }
  const body = h('div', { class: 'figures' }, loading('Counting'))
  const select = (label, pairs, value, name) => h('label', { class: 'inline' }, h('span', { class: 'sr' }, label), h('select', { onchange: (event) => change(name, event.target.value) }, options(pairs, value)))
  add(main, [h('div', { class: 'head' }, h('h1', null, 'Latency and analytics'), h('div', { class: 'row' }, select('Days', SPANS, days, 'days'), select('Engine, for latency', [['', 'All engines'], ...Object.entries(ENGINES)], engine, 'engine'))), body])
  const range = `from=${daysAgo(Number(days) - 1)}&to=${daysAgo(0)}`
  const [analytics, latency, slow] = await Promise.all([
    api(`/v1/analytics?${range}`, { signal }), api(`/v1/latency?${range}${engine ? `&engine=${engine}` : ''}`, { signal }), api(`/v1/latency/bottlenecks?${range}`, { signal }),
  ]).catch((error) => {
    if (error.name === 'AbortError' || error.status === 401) throw error
    put(body, refused(error, h('button', { class: 'button', onclick: () => go(location.pathname + location.search) }, 'Try again')))
    return []
  })
  if (!analytics) return
  if (analytics.totals.calls === 0) return void put(body, empty('No calls in these days', 'Figures appear here as soon as a call is over.'))
  put(body, tiles(analytics.totals, latency.total), bottlenecks(slow), ...plots(analytics, latency), tables(analytics))
}

function tiles(totals, waits) {
  const tile = (value, label, more) => h('div', { class: 'tile' }, h('dt', null, label), h('dd', null, value, more && h('span', { class: 'faint' }, more)))
  return h('dl', { class: 'tiles' },
    tile(totals.calls.toLocaleString('en'), 'Calls', `${totals.inbound} in, ${totals.outbound} out`), tile(share(totals.answer_rate), 'Answered'),
    tile(share(totals.booking_rate), 'Booked', 'of those judged'), tile(seconds(waits.total.p50_ms), 'Reply time, median', waits.total.p95_ms === null ? '' : `p95 ${seconds(waits.total.p95_ms)}`),
    tile(seconds(waits.first_word.p50_ms), 'First words, median'), tile(`${totals.minutes.toLocaleString('en')} min`, 'Talked'))
}

function bottlenecks({ bottlenecks, target_ms: target }) {
  if (bottlenecks.length === 0) return h('section', { class: 'card wide' }, h('h2', null, 'Bottlenecks'), h('p', null, h('span', { class: 'badge good' }, 'None'), ' ', h('span', { class: 'muted' }, `With every engine, 19 of 20 answers come within ${seconds(target)}.`)))
  return h('section', { class: 'card wide' }, h('h2', null, 'Bottlenecks'), h('ul', { class: 'lines' }, bottlenecks.map((one) => h('li', { class: 'bottleneck' },
    h('b', null, ENGINES[one.engine] ?? one.engine), h('span', { class: 'badge warn' }, `p95 ${seconds(one.p95_ms)}`), h('span', { class: 'muted' }, `${one.above_target} of ${one.waits} answers took longer than ${seconds(target)}; most of it is the part “${PARTS[one.part] ?? one.part}” (p95 ${seconds(one.part_p95_ms)}, ${seconds(one.part_allowed_ms)} is fair).`),
    h('p', null, sentence(one.advice), ' Setting: ', h('code', null, one.setting))))))
}

function plots(analytics, latency) {
  const day = (text) => dayName(text).replace(/^\w+,? (?=\d)/, '')
  const byDay = latency.by_day.map(({ day: name, figures }) => [day(name), figures])
  const ms = (value) => `${Number((value / 1000).toFixed(2))} s`
  const hours = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, '0'))
  const ofHour = new Map(analytics.by_hour.map((row) => [row.name, row.calls]))
  const ends = Object.entries(analytics.totals.ends).sort(([, a], [, b]) => b - a)
  const rate = (field) => analytics.by_day.map((row) => [day(row.name), row[field]])
  return [
    plot({ title: 'Reply time by day', note: 'From the caller’s last word to the first sound: in the middle, for 19 of 20, for 99 of 100.', kind: 'lines', heads: ['Day', 'p50', 'p95', 'p99'], unit: ms, rows: byDay.map(([name, figures]) => [name, figures.total.p50_ms, figures.total.p95_ms, figures.total.p99_ms]) }),
    plot({ title: 'For whom callers wait', note: 'The middle of each part, by day.', kind: 'bars', stacked: true, heads: ['Day', ...Object.values(PARTS)], unit: ms, colours: ['s1', 's0', 's2', 's3'], rows: byDay.map(([name, figures]) => [name, ...Object.keys(PARTS).map((part) => figures[part].p50_ms)]) }),
    plot({ title: 'First words', note: 'From picking up to the agent’s first sound.', kind: 'lines', heads: ['Day', 'p50', 'p95'], unit: ms, rows: byDay.map(([name, figures]) => [name, figures.first_word.p50_ms, figures.first_word.p95_ms]) }),
    plot({ title: 'Calls by day', kind: 'bars', stacked: true, heads: ['Day', 'Answered', 'Not answered'], rows: analytics.by_day.map((row) => [day(row.name), row.answered, row.calls - row.answered]) }),
    plot({ title: 'Booking rate', note: 'Of the calls that were judged.', kind: 'lines', top: 1, heads: ['Day', 'Booked'], unit: share, rows: rate('booking_rate') }),
    plot({ title: 'Answer rate', kind: 'lines', top: 1, heads: ['Day', 'Answered'], unit: share, rows: rate('answer_rate') }),
    plot({ title: 'Calls by hour', note: `Time zone ${analytics.time_zone}.`, kind: 'bars', heads: ['Hour', 'Calls'], rows: hours.map((hour) => [hour, ofHour.get(hour) ?? 0]) }),
    plot({ title: 'How calls ended', kind: 'bars', heads: ['End', 'Calls'], rows: ends.map(([end, calls]) => [ENDS[end] ?? end, calls]) }),
  ]
}

function tables({ by_agent: agents, by_engine: engines }) {
  const rows = (of, name) => of.map((row) => [name(row.name), row.calls, share(row.answer_rate), share(row.booking_rate), row.mean_duration_s === null ? null : `${row.mean_duration_s} s`])
  const heads = (first) => [first, 'Calls', 'Answered', 'Booked', 'Mean length']
  return h('section', { class: 'card wide' }, h('h2', null, 'By agent and engine'), h('div', { class: 'scroll stack', tabindex: 0, role: 'region', 'aria-label': 'By agent and engine' }, table(heads('Agent'), rows(agents, String)), table(heads('Engine'), rows(engines, (name) => ENGINES[name] ?? name))))
}
