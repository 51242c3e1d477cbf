"""Stories that grpcio tells our message streams.

grpc_streams.py client PORT   calls the echo services of the test at this port
grpc_streams.py serve         serves the same, and prints `port N`; ends when its input does
"""

import sys
import threading
import time
from concurrent import futures

import grpc


def echo(channel, path="/test.Echo/Stream"):
    return channel.stream_stream(path)


def once(channel, path="/test.Echo/Once"):
    return channel.unary_unary(path)


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def unary_calls(channel):
    for size in (0, 1, 100, 16_384, 1_000_000, 3_000_000):
        message = bytes(i & 255 for i in range(min(size, 1000))) * (size // 1000 or 1)
        assert once(channel)(message, timeout=20) == message, size
    answer, call = once(channel).with_call(b"x", timeout=20, metadata=(("x-name", "value"), ("raw-bin", b"\x00\xff")))
    assert answer == b"x" and call.code() == grpc.StatusCode.OK


def many_at_once(channel):
    pending = [once(channel).future(b"%d" % number, timeout=30) for number in range(2000)]
    for number, call in enumerate(pending):
        assert call.result() == b"%d" % number


def threads_at_once(channel):
    failures = []

    def work(name):
        try:
            for number in range(100):
                message = b"%d-%d" % (name, number)
                assert once(channel)(message, timeout=20) == message
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def streams(channel):
    sent = [b"%d" % number * (number % 1000) for number in range(5000)]
    assert list(echo(channel)(iter(sent), timeout=60)) == sent
    # Ping-pong: each message is sent when the last one's echo has come.
    turn = threading.Semaphore(1)

    def messages():
        for number in range(300):
            turn.acquire()
            yield b"%d" % number

    for number, answer in enumerate(echo(channel)(messages(), timeout=60)):
        assert answer == b"%d" % number
        turn.release()


def slow_reader(channel):
    block = bytes(100_000)
    count = 0
    for answer in echo(channel)((block for _ in range(400)), timeout=60):
        assert answer == block
        count += 1
        if count % 40 == 0:
            time.sleep(0.05)
    assert count == 400


def ends(channel):
    code, details = status_of(lambda: once(channel, "/test.Echo/Nowhere")(b"", timeout=20))
    assert code == grpc.StatusCode.UNIMPLEMENTED, code
    code, details = status_of(lambda: once(channel, "/test.Echo/Fails")(b"", timeout=20))
    assert (code, details) == (grpc.StatusCode.FAILED_PRECONDITION, "100% größer"), (code, details)
    code, details = status_of(lambda: once(channel, "/test.Echo/Never")(b"", timeout=0.2))
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED, code
    call = echo(channel, "/test.Echo/Stream")(iter(lambda: b"x", None), timeout=20)
    assert next(call) == b"x"
    call.cancel()
    assert call.code() == grpc.StatusCode.CANCELLED
    too_long = bytes(9_000_000)
    code, details = status_of(lambda: once(channel)(too_long, timeout=20))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED, code
    # The serving side ends the call while the caller would go on.
    answers = echo(channel, "/test.Echo/First")(iter(lambda: b"x", None), timeout=20)
    assert list(answers) == [b"x"] and answers.code() == grpc.StatusCode.OK
    assert once(channel)(b"still here", timeout=20) == b"still here"


def client(port):
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        for story in (unary_calls, many_at_once, threads_at_once, streams, slow_reader, ends):
            story(channel)
            print("ok", story.__name__, flush=True)


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/test.Echo/Once":
            return grpc.unary_unary_rpc_method_handler(self.once)
        if details.method == "/test.Echo/Never":
            return grpc.unary_unary_rpc_method_handler(lambda request, context: time.sleep(2) or request)
        if details.method == "/test.Echo/Fails":
            return grpc.unary_unary_rpc_method_handler(self.fails)
        if details.method == "/test.Echo/Stream":
            return grpc.stream_stream_rpc_method_handler(lambda requests, context: requests)
        return None

    def once(self, request, context):
        context.set_trailing_metadata((("x-server", "grpcio"),))
        return request

    def fails(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "100% größer")


def serve():
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), handlers=(Echo(),), options=options)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print("port", port, flush=True)
    server.wait_for_termination(timeout=300)


if sys.argv[1] == "client":
    client(int(sys.argv[2]))
else:
    serve()
