// express + http-proxy-middleware, as its README shows it: forwards, checks nothing, records nothing.
import http from 'node:http'
import express from 'express'
import { createProxyMiddleware } from 'http-proxy-middleware'

const [port, target] = process.argv.slice(2)
const agent = new http.Agent({ keepAlive: true }) // without it each request opens a connection
const app = express()
app.use(createProxyMiddleware({ target, agent, changeOrigin: true }))
app.listen(Number(port), '127.0.0.1')
