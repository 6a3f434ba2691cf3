// Small plots, drawn as SVG by hand, each with the same figures as a table.
//
// Colour is never the only difference: lines differ in their dashes, and the table below each plot names everything.

import { add, h, s } from './kit.js'

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [460, 196, 44, 26, 10]
const BAR_MAX = 52
const DASHES = [undefined, '6 4', '2 4']

/** A plot in its card. `rows` are [name, ...values]; null is no value. `unit` writes a value. */
export function plot({ title, note, kind, heads, rows, unit = String, stacked = false, top, colours = ['s0', 's1', 's2', 's3'] }) {
  const card = h('figure', { class: 'card plot' }, h('figcaption', null, h('h2', null, title), note && h('p', { class: 'faint' }, note)))
  const values = rows.flatMap(([, ...values]) => values).filter((value) => value !== null && value !== undefined)
  if (values.length === 0 || values.every((value) => value === 0)) return add(card, [h('p', { class: 'muted nothing' }, 'Nothing to show for these days yet.')])
  const names = heads.slice(1)
  const sums = rows.map(([, ...values]) => values.reduce((sum, value) => sum + (value ?? 0), 0))
  const most = top ?? ticks(Math.max(...(stacked ? sums : values))).at(-1)
  add(card, [
    kind === 'bars' ? bars(rows, names, most, unit, stacked, colours) : lines(rows, most, unit, names),
    names.length > 1 && h('ul', { class: 'legend' }, names.map((name, n) => h('li', null, s('svg', { width: kind === 'bars' ? 12 : 22, height: 10, 'aria-hidden': 'true' }, kind === 'bars' ? s('rect', { width: 12, height: 10, rx: 3, class: `series ${colours[n]}` }) : s('line', { x1: 0, x2: 22, y1: 5, y2: 5, class: `stroke s${n}`, 'stroke-dasharray': DASHES[n] })), name))),
    h('details', null, h('summary', null, 'As a table'), h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `${title}, as a table` }, table(heads, rows, unit))),
  ])
  return card
}

export function table(heads, rows, unit = String) {
  return h('table', null, h('thead', null, h('tr', null, heads.map((head, n) => h('th', { scope: 'col', class: n > 0 ? 'num' : undefined }, head)))),
    h('tbody', null, rows.map(([name, ...values]) => h('tr', null, h('th', { scope: 'row' }, name), values.map((value) => h('td', { class: 'num' }, value === null || value === undefined ? '–' : unit(value)))))))
}

/** Round numbers from zero up to what holds the most. */
function ticks(most) {
  const rough = Math.max(most, 1e-9) / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= rough)
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, n) => n * step)
}

function frame(rows, most, unit, label) {
  const y = (value) => HEIGHT - BOTTOM - (value / most) * (HEIGHT - BOTTOM - TOP)
  const svg = s('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: 'drawing', role: 'img', 'aria-label': label })
  for (const tick of ticks(most)) {
    if (tick > most * 1.001) continue
    add(svg, [s('line', { x1: LEFT, x2: WIDTH, y1: y(tick), y2: y(tick), class: 'grid' }), s('text', { x: LEFT - 8, y: y(tick) + 4, 'text-anchor': 'end' }, unit(tick))])
  }
  const slot = (WIDTH - LEFT) / rows.length
  const every = Math.ceil(rows.length / 6)
  rows.forEach(([name], n) => { if (n % every === 0) add(svg, [s('text', { x: LEFT + slot * (n + 0.5), y: HEIGHT - 6, 'text-anchor': 'middle' }, name)]) })
  return { svg, y, slot }
}

function bars(rows, names, most, unit, stacked, colours) {
  const { svg, y, slot } = frame(rows, most, unit, `Bars: ${names.join(', ')}, for ${rows.length} rows; the table below has all figures.`)
  const room = Math.min(slot * 0.7, BAR_MAX * (stacked ? 1 : names.length))
  rows.forEach(([name, ...values], at) => {
    let base = 0
    values.forEach((value, n) => {
      if (!value) return
      const width = stacked ? room : room / values.length
      const x = LEFT + slot * at + (slot - room) / 2 + (stacked ? 0 : width * n)
      const bar = s('rect', { x, y: y(base + value), width: Math.max(1, width), height: Math.max(1, y(base) - y(base + value)), rx: stacked ? 0 : Math.min(3, width / 4), class: `series ${colours[n]}` })
      add(svg, [add(bar, [s('title', null, `${name}: ${names[n]} ${unit(value)}`)])])
      if (stacked) base += value
    })
  })
  return svg
}

function lines(rows, most, unit, names) {
  const { svg, y, slot } = frame(rows, most, unit, `Lines: ${names.join(', ')}, for ${rows.length} rows; the table below has all figures.`)
  names.forEach((name, n) => {
    let path = ''
    rows.forEach((row, at) => {
      const value = row[n + 1]
      const x = LEFT + slot * (at + 0.5)
      const follows = at > 0 && rows[at - 1][n + 1] !== null && rows[at - 1][n + 1] !== undefined
      if (value === null || value === undefined) return
      path += `${follows ? 'L' : 'M'}${x.toFixed(1)} ${y(value).toFixed(1)}`
      add(svg, [s('circle', { cx: x, cy: y(value), r: rows.length > 40 ? 1.5 : 3, class: `series s${n}` }, s('title', null, `${row[0]}: ${name} ${unit(value)}`))])
    })
    add(svg, [s('path', { d: path, class: `stroke s${n}`, 'stroke-dasharray': DASHES[n], fill: 'none' })])
  })
  return svg
}
