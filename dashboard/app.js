// The frame around the pages: which one an address shows, the way between them, and who is signed in.

import { Refusal, add, api, h, icon, loading, put, refused, s, session } from './kit.js'

/** A page is a module with `show(main, {params, query, signal, go})`; `signal` ends when it is left. */
const PAGES = [
  [/^\/$/, 'calls', 'Calls'],
  [/^\/calls\/(?<id>[^/]+)$/, 'call', 'Call'],
  [/^\/listen$/, 'listen', 'Live'],
  [/^\/place$/, 'place', 'Place a call'],
  [/^\/agents$/, 'agents', 'Agents'],
  [/^\/agents\/(?<name>[^/]+)$/, 'agent', 'Agent'],
  [/^\/figures$/, 'figures', 'Latency and analytics'],
  [/^\/system$/, 'system', 'Status'],
  [/^\/sign-in$/, 'signin', 'Sign in'],
]

const WAYS = [
  ['/', 'calls', 'Calls'],
  ['/listen', 'listen', 'Live'],
  ['/place', 'place', 'Place a call', 'operator'],
  ['/agents', 'agents', 'Agents'],
  ['/figures', 'figures', 'Analytics'],
  ['/system', 'system', 'Status'],
]

const main = document.getElementById('main')
const side = document.getElementById('side')
let leaving = new AbortController()
let shown = 0

/** Goes to an address of ours. */
export function go(address, { replace = false } = {}) {
  if (replace) history.replaceState({}, '', address)
  else {
    history.replaceState({ ...history.state, y: scrollY }, '')
    history.pushState({ from: location.pathname + location.search }, '', address)
  }
  return show()
}

async function show({ y = 0 } = {}) {
  const mine = ++shown
  leaving.abort()
  leaving = new AbortController()
  const { signal } = leaving
  const path = decodeURI(location.pathname)
  const found = PAGES.map(([pattern, ...rest]) => [pattern.exec(path), ...rest]).find(([match]) => match)
  const [match, name, title] = found ?? [{}, 'calls', 'Calls']
  document.title = `${title} – Switchboard`
  if (name !== 'signin' && !session.now) {
    put(main, loading())
    if (!(await known())) return mine === shown && askWho()
  }
  frame(name)
  try {
    const page = await import(`./${name}.js`)
    if (mine !== shown) return
    main.replaceChildren()
    main.className = `page-${name}`
    await page.show(main, { params: match.groups ?? {}, query: new URLSearchParams(location.search), signal, go })
    if (mine !== shown) return
    scrollTo(0, y)
    if (document.activeElement === document.body || !document.activeElement?.isConnected) main.focus({ preventScroll: true })
  } catch (error) {
    if (error.name === 'AbortError' || mine !== shown) return
    if (error instanceof Refusal && error.status === 401) return askWho()
    const again = h('button', { class: 'button', onclick: () => show() }, 'Try again')
    put(main, h('h1', { class: 'sr' }, title), refused(error, again, h('a', { class: 'button', href: '/' }, 'To the calls')))
  }
}

/** Whether the cookie stands for somebody. */
async function known() {
  try {
    session.set(await api('/v1/session'))
    return true
  } catch (error) {
    if (error.status !== 401) throw error
    return false
  }
}

/** The sign-in page, which leads back here. */
function askWho() {
  const was = session.now
  session.set(null)
  const here = location.pathname + location.search
  if (location.pathname === '/sign-in') return
  go(`/sign-in?${new URLSearchParams({ to: here, ...(was ? { expired: '1' } : {}) })}`, { replace: true })
}

function frame(name) {
  document.body.classList.toggle('bare', name === 'signin')
  side.hidden = name === 'signin'
  if (side.hidden) return
  const active = { call: 'calls', agent: 'agents' }[name] ?? name
  if (!side.firstChild || side.dataset.role !== session.now?.role) {
    side.dataset.role = session.now?.role ?? ''
    const links = WAYS.filter(([, , , role]) => !role || session.may(role)).map(([href, key, label]) =>
      h('a', { href, 'data-page': key }, icon(key), h('span', null, label)))
    const who = h('div', { class: 'who' },
      h('span', { class: 'name' }, session.now?.name ?? '', h('span', { class: 'faint' }, session.now?.role ?? '')),
      h('button', { class: 'plain-button', onclick: theme, 'aria-label': 'Light or dark', title: 'Light or dark' }, icon('theme')),
      h('button', { class: 'plain-button', onclick: signOut }, 'Sign out'))
    put(side, h('a', { class: 'brand', href: '/', 'aria-label': 'Switchboard' }, logo(), h('span', null, 'Switchboard')),
      h('nav', { 'aria-label': 'Pages' }, links),
      session.now?.simulated && h('p', { class: 'simulated' }, 'Simulated phone network'), who)
  }
  for (const link of side.querySelectorAll('nav a')) {
    if (link.dataset.page === active) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
}

export function logo() {
  return s('svg', { viewBox: '0 0 32 32', class: 'logo', 'aria-hidden': 'true' },
    s('rect', { width: 32, height: 32, rx: 8, fill: 'currentColor' }),
    s('path', { d: 'M8 13v6M13 9v14M19 11v10M24 14v4', class: 'logo-bars' }))
}

function theme() {
  const dark = getComputedStyle(document.documentElement).getPropertyValue('--is-dark').trim() === '1'
  const wanted = dark ? 'light' : 'dark'
  document.documentElement.dataset.theme = wanted
  try { localStorage.setItem('switchboard.theme', wanted) } catch { /* Then until it is closed. */ }
}

async function signOut() {
  try { await api('/v1/session', { method: 'DELETE' }) } catch { /* The cookie ends by itself. */ }
  session.set(null)
  go('/sign-in')
}

/** The key of a link that signs in once stands behind the #, which no server and no log ever sees. */
async function openLink() {
  const key = new URLSearchParams(location.hash.slice(1)).get('key')
  if (!key) return
  history.replaceState({}, '', location.pathname + location.search)
  try {
    session.set(await api('/v1/session', { method: 'POST', body: { key } }))
  } catch (error) {
    // Whoever opens the link again is signed in already.
    const detail = error instanceof Refusal ? error.detail : ''
    try { if (await known()) return } catch { /* Told below. */ }
    history.replaceState({}, '', `/sign-in?${new URLSearchParams({ said: detail })}`)
  }
}

addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]')
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  const url = new URL(link.href, location.href)
  const isOurs = url.origin === location.origin && PAGES.some(([pattern]) => pattern.test(decodeURI(url.pathname)))
  if (!isOurs || link.hasAttribute('download') || link.target || link.classList.contains('skip')) return
  event.preventDefault()
  go(url.pathname + url.search)
})
addEventListener('popstate', (event) => show({ y: event.state?.y ?? 0 }))
addEventListener('signed-out', askWho)
addEventListener('connection', ({ detail: connected }) => {
  const notice = document.getElementById('offline')
  if (notice.hidden === connected) return
  notice.hidden = connected
  notice.textContent = connected ? '' : 'No connection to Switchboard. What you see may be out of date; it is tried again all the time.'
})
addEventListener('offline', () => dispatchEvent(new CustomEvent('connection', { detail: false })))
history.scrollRestoration = 'manual'
try { const kept = localStorage.getItem('switchboard.theme'); if (kept) document.documentElement.dataset.theme = kept } catch { /* The system's. */ }
add(main, [])
await openLink()
show()
