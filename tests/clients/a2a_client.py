"""The official A2A client (PyPI a2a-sdk 1.3.0) against jarvis-tui serve, with a scripted model.

    pip install a2a-sdk==1.3.0
    python tests/clients/a2a_client.py target/debug/jarvis-tui
"""
import asyncio, json, os, subprocess, sys, tempfile, threading, uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import httpx
from a2a.client import ClientConfig, create_client
from a2a.types.a2a_pb2 import *
from a2a.utils.constants import TransportProtocol

hold = threading.Event()

class Model(BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['content-length'])))
        msgs = body['messages']
        last = msgs[-1]
        text = last['content'] if isinstance(last['content'], str) else json.dumps(last['content'])
        def chunk(delta, reason=None):
            self.wfile.write(('data: ' + json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': reason}]}) + '\n\n').encode()); self.wfile.flush()
        if 'fail' in text and last['role'] == 'user':
            self.send_response(400); self.send_header('content-length','2'); self.end_headers(); self.wfile.write(b'{}'); return
        self.send_response(200); self.send_header('content-type','text/event-stream'); self.send_header('connection','close'); self.end_headers()
        try:
            if last['role'] == 'tool':
                chunk({'content': 'tool said ' + text[:40]})
            elif 'shell' in text:
                chunk({'content': 'I run it.'})
                chunk({'tool_calls': [{'index': 0, 'id': 'c1', 'type': 'function', 'function': {'name': 'shell', 'arguments': json.dumps({'command': 'echo made'})}}]})
                chunk({}, 'tool_calls'); self.wfile.write(b'data: [DONE]\n\n'); return
            elif 'calc' in text:
                chunk({'tool_calls': [{'index': 0, 'id': 'c1', 'type': 'function', 'function': {'name': 'calculator', 'arguments': json.dumps({'expression': '6*7'})}}]})
                chunk({}, 'tool_calls'); self.wfile.write(b'data: [DONE]\n\n'); return
            elif 'slow' in text:
                chunk({'content': 'one '}); hold.wait(20); chunk({'content': 'two'})
            else:
                users = [m['content'] for m in msgs if m['role'] == 'user']
                chunk({'reasoning_content': 'thinking'}); chunk({'content': 'you said: '}); chunk({'content': ' | '.join(str(u) for u in users)})
            chunk({}, 'stop'); self.wfile.write(b'data: [DONE]\n\n')
        except BrokenPipeError: pass

def msg(text, context='', task=''):
    return SendMessageRequest(message=Message(message_id=str(uuid.uuid4()), role=Role.ROLE_USER, parts=[Part(text=text)], context_id=context, task_id=task))

def artifacts(events):
    out = {}
    for e in events:
        if e.HasField('task'):
            for a in e.task.artifacts: out[a.artifact_id] = ''.join(p.text for p in a.parts)
        if e.HasField('artifact_update'):
            a = e.artifact_update.artifact; t = ''.join(p.text for p in a.parts)
            out[a.artifact_id] = (out.get(a.artifact_id, '') if e.artifact_update.append else '') + t
    return ' / '.join(out.values())

def state(events):
    s = None
    for e in events:
        if e.HasField('task'): s = e.task.status.state
        if e.HasField('status_update'): s = e.status_update.status.state
    return TaskState.Name(s)

def ids(events):
    t = events[0].task
    return t.id, t.context_id

async def run(url, binding, version, streaming):
    name = f'{binding} {version} {"streamed" if streaming else "whole"}'
    http = httpx.AsyncClient(timeout=30, trust_env=False)
    card = (await http.get(url + '/.well-known/agent-card.json')).json()
    if version == '0.3':
        card.pop('supportedInterfaces')  # as a 0.3 client reads it
    from a2a.client.card_resolver import parse_agent_card
    card = parse_agent_card(card)
    client = await create_client(card, ClientConfig(streaming=streaming, httpx_client=http, supported_protocol_bindings=[binding], polling=False))
    async def send(*a): return [e async for e in client.send_message(msg(*a))]
    ev = await send('hello'); task, ctx = ids(ev)
    assert state(ev) == 'TASK_STATE_COMPLETED' and artifacts(ev) == 'you said: hello', (state(ev), artifacts(ev))
    ev = await send('again', ctx)
    assert artifacts(ev) == 'you said: hello | again' and ids(ev)[1] == ctx and ids(ev)[0] != task, artifacts(ev)
    ev = await send('calc')
    assert state(ev) == 'TASK_STATE_COMPLETED' and '42' in artifacts(ev), artifacts(ev)
    ev = await send('shell'); task, ctx2 = ids(ev)
    assert state(ev) == 'TASK_STATE_INPUT_REQUIRED', state(ev)
    got = await client.get_task(GetTaskRequest(id=task)); assert got.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    ev = await send('yes', ctx2, task)
    assert state(ev) == 'TASK_STATE_COMPLETED' and 'made' in artifacts(ev), (state(ev), artifacts(ev))
    ev = await send('fail')
    assert state(ev) == 'TASK_STATE_FAILED', state(ev)
    try:
        await client.get_task(GetTaskRequest(id='nobody')); assert False
    except Exception as e: err = type(e).__name__
    assert err == 'TaskNotFoundError', err
    try:
        await client.cancel_task(CancelTaskRequest(id=task)); assert False
    except Exception as e: err = type(e).__name__
    assert err == 'TaskNotCancelableError', err
    if version != '0.3':
        listed = await client.list_tasks(ListTasksRequest(context_id=ctx))
        assert len(listed.tasks) == 2 and listed.total_size == 2, listed
    if streaming:
        # cut in the middle, subscribe again, get the whole
        hold.clear(); seen = []
        gen = client.send_message(msg('slow'))
        async for e in gen:
            seen.append(e)
            if artifacts(seen) == 'one ': break
        await gen.aclose()
        task, _ = ids(seen)
        got = []
        async for e in client.subscribe(SubscribeToTaskRequest(id=task)):
            got.append(e); hold.set()
        assert artifacts(got) == 'one two' and state(got) == 'TASK_STATE_COMPLETED', (artifacts(got), state(got))
        # cancel a running one from beside
        hold.clear(); seen = []
        async for e in client.send_message(msg('slow')):
            seen.append(e)
            if artifacts(seen) == 'one ' and state(seen) == 'TASK_STATE_WORKING' and len([x for x in seen if x.HasField('artifact_update')]) == 1:
                done = await client.cancel_task(CancelTaskRequest(id=ids(seen)[0]))
                assert done.status.state == TaskState.TASK_STATE_CANCELED, done
        assert state(seen) == 'TASK_STATE_CANCELED', state(seen)
        hold.set()
    print('ok', name)

async def main(binary):
    model = ThreadingHTTPServer(('127.0.0.1', 0), Model); threading.Thread(target=model.serve_forever, daemon=True).start()
    home = tempfile.mkdtemp()
    env = {'PATH': os.environ['PATH'], 'JARVIS_TUI_HOME': home, 'OPENAI_BASE_URL': f'http://127.0.0.1:{model.server_port}/v1', 'OPENAI_API_KEY': 'x'}
    server = subprocess.Popen([binary, 'serve', '--port', '0', '-m', 'openai/mock'], cwd=home, env=env, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().split()[-1]
        for binding, version in [('JSONRPC','1.0'), ('HTTP+JSON','1.0'), ('JSONRPC','0.3')]:
            for streaming in [True, False]:
                await run(url, binding, version, streaming)
    finally:
        server.terminate()

asyncio.run(main(sys.argv[1]))
