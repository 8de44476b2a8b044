// One authorization with oauth4webapi, which accepts nothing that a standard does not allow.
//
// Reads what to do as one line of JSON. Prints {"open": url} where a browser is needed, and reads
// the URL that it came back to; prints {"done": ...} with what it was given.

import { createInterface } from 'node:readline'
import * as oauth from 'oauth4webapi'

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const read = async () => JSON.parse((await lines.next()).value)
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`)

const HASHES = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  EdDSA: { name: 'Ed25519' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
}

const plan = await read()
// The service of the tests has no TLS; everything else is asked of it as of any other.
const plain = { [oauth.allowInsecureRequests]: true }
const client = plan.client
const key = plan.jwk && {
  key: await crypto.subtle.importKey('jwk', plan.jwk, HASHES[plan.jwk.alg], false, ['sign']),
  kid: plan.jwk.kid,
}
const authentication = {
  client_secret_basic: () => oauth.ClientSecretBasic(plan.secret),
  client_secret_post: () => oauth.ClientSecretPost(plan.secret),
  private_key_jwt: () => oauth.PrivateKeyJwt(key),
  none: () => oauth.None(),
}[plan.authentication]()
const DPoP = plan.dpop === null ? undefined : oauth.DPoP(client, await oauth.generateKeyPair(plan.dpop))
const options = { DPoP, ...plain }
let nonces = 0

async function withNonce(work) {
  try {
    return await work()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    nonces += 1
    return await work()
  }
}

async function authorizationUrl(as, parameters) {
  let sent = parameters
  if (plan.signed) {
    const request = await oauth.issueRequestObject(as, client, parameters, key)
    sent = { client_id: client.client_id, request }
  }
  if (plan.pushed) {
    sent = await withNonce(async () => {
      const answer = await oauth.pushedAuthorizationRequest(as, client, authentication, sent, options)
      const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, answer)
      return { client_id: client.client_id, request_uri }
    })
  }
  const url = new URL(as.authorization_endpoint)
  for (const [name, value] of Object.entries(sent)) url.searchParams.set(name, value)
  return url.href
}

async function introspect(as, token, requestJwtResponse) {
  const more = { requestJwtResponse, ...plain }
  const answer = await oauth.introspectionRequest(as, client, authentication, token, more)
  const told = await oauth.processIntrospectionResponse(as, client, answer)
  if (requestJwtResponse) await oauth.validateApplicationLevelSignature(as, answer, plain)
  return told
}

const issuer = new URL(plan.issuer)
const as = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: plan.discovery, ...plain }),
)

const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()
const nonce = oauth.generateRandomNonce()
const url = await authorizationUrl(as, {
  client_id: client.client_id,
  redirect_uri: plan.redirect_uri,
  response_type: 'code',
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  state,
  nonce,
  ...plan.request,
})
say({ open: url })
const back = new URL((await read()).url)

let code
try {
  code = oauth.validateAuthResponse(as, client, back, state)
} catch (error) {
  if (!(error instanceof oauth.AuthorizationResponseError)) throw error
  say({ done: { refused: error.error } })
  process.exit(0)
}

const maxAge = plan.request.max_age === undefined ? undefined : Number(plan.request.max_age)
let answer
const granted = await withNonce(async () => {
  answer = await oauth.authorizationCodeGrantRequest(
    as, client, authentication, code, plan.redirect_uri, verifier, options,
  )
  return await oauth.processAuthorizationCodeResponse(as, client, answer, {
    expectedNonce: nonce, maxAge, requireIdToken: true,
  })
})
await oauth.validateApplicationLevelSignature(as, answer, plain)
const claims = oauth.getValidatedIdTokenClaims(granted)

const userinfo = await withNonce(async () => {
  const told = await oauth.userInfoRequest(as, client, granted.access_token, options)
  return await oauth.processUserInfoResponse(as, client, claims.sub, told)
})

const done = { nonces, granted, claims, userinfo }

// As a resource server of somebody else's sees the token.
if (!DPoP) {
  const request = new Request('https://api.example/', {
    headers: { authorization: `Bearer ${granted.access_token}` },
  })
  done.access = await oauth.validateJwtAccessToken(as, request, plan.audience, plain)
}

if (granted.refresh_token) {
  done.refreshed = await withNonce(async () => {
    const fresh = await oauth.refreshTokenGrantRequest(
      as, client, authentication, granted.refresh_token, options,
    )
    return await oauth.processRefreshTokenResponse(as, client, fresh)
  })
  done.refreshedClaims = oauth.getValidatedIdTokenClaims(done.refreshed)
}

const last = done.refreshed ?? granted
if (plan.authentication !== 'none') {
  done.introspected = await introspect(as, last.access_token, false)
  done.introspectedSigned = await introspect(as, last.access_token, true)
}
await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, authentication, last.access_token, plain),
)
if (plan.authentication !== 'none') {
  done.afterwards = await introspect(as, last.access_token, false)
}
done.nonces = nonces
say({ done })
process.exit(0)
