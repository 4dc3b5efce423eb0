// fastify + @fastify/http-proxy + jsonwebtoken + pino: forwards, verifies each bearer token, records each request.
import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import proxy from '@fastify/http-proxy'
import jwt from 'jsonwebtoken'
import pino from 'pino'

const [port, upstream, keyFile, issuer, audience, logFile] = process.argv.slice(2)
const key = readFileSync(keyFile)
const options = { algorithms: ['RS256'], issuer, audience }
const loggerInstance = pino(pino.destination({ dest: logFile, sync: false }))

async function verifyBearer (request, reply) {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  try {
    if (scheme !== 'Bearer') throw new Error('no bearer token')
    request.user = jwt.verify(token, key, options)
  } catch {
    return reply.code(401).send({ error: 'unauthorized' })
  }
}

const server = Fastify({ loggerInstance })
server.register(proxy, { upstream, preHandler: verifyBearer })
await server.listen({ host: '127.0.0.1', port: Number(port) })
