// Signing in, with a token.

import { logo } from './app.js'
import { Refusal, api, field, h, sentence, session } from './kit.js'

export async function show(main, { query, go }) {
  const token = h('input', { type: 'password', name: 'token', autocomplete: 'current-password', required: true, spellcheck: 'false', autocapitalize: 'off' })
  const box = field('Token', token, 'One of API_TOKENS. On your own machine: the content of .switchboard/api-token.')
  const button = h('button', { class: 'button primary wide', type: 'submit' }, 'Sign in')
  const said = query.get('expired') ? 'Your sign-in has expired. Sign in again, and you are back where you were.' : sentence(query.get('said'))
  const form = h('form', { class: 'card signin' },
    h('div', { class: 'signin-brand' }, logo(), h('h1', null, 'Sign in to Switchboard')),
    said && h('p', { class: 'notice', role: 'status' }, said), box, button)
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    button.disabled = true
    box.say('')
    try {
      session.set(await api('/v1/session', { method: 'POST', body: { token: token.value.trim() } }))
      const to = query.get('to') ?? '/'
      // Only an address of ours: one that begins with two slashes is another's.
      go(/^\/(?![/\\])/.test(to) ? to : '/', { replace: true })
    } catch (error) {
      button.disabled = false
      const isWrong = error instanceof Refusal && error.status === 401
      box.say(isWrong ? 'Nobody has this token. Look for spaces at its ends, or ask whoever runs Switchboard.' : sentence(error.detail) || 'That did not work.')
      token.focus()
    }
  })
  main.append(form)
  token.focus()
}
