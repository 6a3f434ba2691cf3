// Calls as they happen, from the sockets of the nodes that have them.
//
// The nodes' addresses and a token for a minute come from the API; the token is a socket's first message. A socket that is
// lost, because its node restarts or our network does, is opened again; what was missed meanwhile is read from the
// journal by whoever listens (`onBack`), and nothing is shown twice because entries have numbers.

import { api } from './kit.js'

const AGAIN_MS = [500, 1_000, 2_000, 4_000, 8_000]
const LOOK_MS = 10_000

export class Feed {
  /** `onEntry(call, entry, node)`, `onLevels(call, levels)`, `onState('live' | 'lost')`, `onBack()` after a loss. */
  constructor({ subscribe = 'all', signal, ...handlers }) {
    Object.assign(this, { subscribe, signal, handlers, sockets: new Map(), tries: 0, isLost: false, timer: 0 })
    signal.addEventListener('abort', () => this.close())
    addEventListener('online', () => this.open(), { signal })
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.open() }, { signal })
    this.open()
  }

  /** Opens a socket to each node that has none yet. */
  async open() {
    clearTimeout(this.timer)
    if (this.signal.aborted || this.isOpening) return
    this.isOpening = true
    try {
      const { nodes, token } = await api('/v1/live', { method: 'POST', signal: this.signal })
      for (const node of nodes) if (!this.sockets.has(node.node)) this.join(node, token)
      if (nodes.length === 0) this.lost()
      // New nodes come, and old ones come back under their names.
      this.timer = setTimeout(() => this.open(), nodes.length === 0 ? this.wait() : LOOK_MS)
    } catch (error) {
      if (error.name === 'AbortError' || error.status === 401) return
      this.lost()
      this.timer = setTimeout(() => this.open(), error.after ? error.after * 1000 : this.wait())
    } finally {
      this.isOpening = false
    }
  }

  join({ node, url }, token) {
    let socket
    try { socket = new WebSocket(url) } catch { return this.lost() }
    this.sockets.set(node, socket)
    let isIn = false
    socket.onopen = () => {
      socket.send(token)
      socket.send(JSON.stringify({ subscribe: this.subscribe, levels: true }))
    }
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data)
      if (!isIn) {
        isIn = true
        this.back()
      }
      if (message.entry) this.handlers.onEntry?.(message.call, message.entry, node)
      else if (message.levels) this.handlers.onLevels?.(message.call, message.levels, node)
    }
    socket.onclose = () => {
      if (this.sockets.get(node) === socket) this.sockets.delete(node)
      if (this.signal.aborted) return
      this.lost()
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.open(), this.wait())
    }
  }

  wait() { return AGAIN_MS[Math.min(this.tries++, AGAIN_MS.length - 1)] }

  lost() {
    if (this.isLost) return
    this.isLost = true
    this.handlers.onState?.('lost')
  }

  /** A socket speaks. */
  back() {
    this.tries = 0
    const wasLost = this.isLost
    this.isLost = false
    this.handlers.onState?.('live')
    if (wasLost) this.handlers.onBack?.()
  }

  close() {
    clearTimeout(this.timer)
    for (const socket of this.sockets.values()) socket.close()
    this.sockets.clear()
  }
}
