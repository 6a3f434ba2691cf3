// Exporting exactly the calls that a list shows: every part of it, put together in one file.

import { Refusal, api, ask, field, h, options, tell } from './kit.js'

const PARTS_MAX = 400

export function exportCalls(filters) {
  const format = h('select', { name: 'format' }, options([['csv', 'CSV, for spreadsheets'], ['json', 'JSON'], ['ndjson', 'NDJSON, a call on each line']], 'csv'))
  const redact = h('input', { type: 'checkbox', name: 'redact', id: 'redact' })
  const count = h('p', { class: 'muted', role: 'status' })
  return ask({
    title: 'Export calls',
    text: filters.size > 0 ? 'All calls that pass the filters of this list, also those that are not loaded yet.' : 'All calls, also those that are not loaded yet.',
    fields: [field('Format', format), h('label', { class: 'check', for: 'redact' }, redact, 'Leave out numbers and words'), count],
    action: 'Export',
    act: async (form) => {
      const { parts, calls } = await collect(filters, form.get('format'), form.get('redact') === 'on', (kb) => { count.textContent = `${kb} kB …` })
      save(parts, `calls.${form.get('format')}`)
      tell(calls === null ? 'The calls are exported.' : `${calls} calls are exported.`, 'good')
    },
  })
}

async function collect(filters, format, isRedacted, progress) {
  const query = new URLSearchParams(filters)
  query.set('format', format)
  if (isRedacted) query.set('redact', '1')
  let [address, size] = [`/v1/export?${query}`, 0]
  const texts = []
  for (let part = 0; address; part++) {
    if (part === PARTS_MAX) throw new Refusal(413, { title: 'Too much', detail: 'that is too much for a browser; choose fewer days, or use `calls export`' })
    const response = await api(address, { raw: true, headers: { Accept: '*/*' } })
    const text = await response.text()
    size += text.length
    texts.push(text)
    progress(Math.round(size / 1024))
    address = /<([^>]+)>;\s*rel="?next/.exec(response.headers.get('link') ?? '')?.[1]
  }
  if (format !== 'json') return { parts: texts, calls: null }
  // Parts of JSON are lists of their own.
  const calls = texts.flatMap((text) => { const part = JSON.parse(text); return Array.isArray(part) ? part : part.calls })
  return { parts: [JSON.stringify(calls, null, 1)], calls: calls.length }
}

function save(parts, name) {
  const url = URL.createObjectURL(new Blob(parts, { type: 'application/octet-stream' }))
  const link = h('a', { href: url, download: name })
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
