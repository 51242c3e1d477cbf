"""Google's Protocol Buffers on the messages of proto/: what NexusWireTests compares ours with.

    wire.py check INPUT OUTPUT         reads lines `frame HEX` or `gossip HEX`
    wire.py make SEED COUNT OUTPUT     makes messages of random contents instead

Either way it writes, for each message, its kind and its bytes as Google's library writes them, then a line for each
value in it, then an empty line.
"""

import importlib
import random
import sys
import tempfile
from pathlib import Path

from google.protobuf import unknown_fields
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"


def compiled():
    directory = tempfile.mkdtemp(prefix="nexus-proto-")
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    if protoc.main(["protoc", f"-I{PROTO}", f"--python_out={directory}", *files]) != 0:
        sys.exit("the .proto files do not compile")
    sys.path.insert(0, directory)
    peer = importlib.import_module("nexuscache.peer_pb2")
    gossip = importlib.import_module("nexuscache.gossip_pb2")
    return {"frame": peer.PeerFrame, "gossip": gossip.GossipPacket}


def text(value):
    if isinstance(value, str):
        value = value.encode()
    return value.hex() if isinstance(value, bytes) else str(int(value))


def describe(message, path, lines):
    if len(unknown_fields.UnknownFieldSet(message)) > 0:
        sys.exit(f"{path}: fields that the .proto files do not have")
    for field, value in message.ListFields():
        name = f"{path}.{field.name}" if path else field.name
        if field.containing_oneof:
            lines.append(f"{path}?{field.name}")
        if field.is_repeated:
            lines.append(f"{name}#{len(value)}")
            for index, element in enumerate(value):
                describe_value(field, element, f"{name}[{index}]", lines)
        else:
            describe_value(field, value, name, lines)


def describe_value(field, value, name, lines):
    if field.message_type:
        describe(value, name, lines)
    elif value:
        lines.append(f"{name}={text(value)}")


def write(out, kind, message):
    lines = []
    describe(message, "", lines)
    out.write("\n".join([f"{kind} {message.SerializeToString().hex()}", *lines, "", ""]))


# --- Random contents. Where a field's values are narrower than its type, its maker says so.

IDS = "ABCxyz019._-"


def number(dice, bits):
    return dice.choice([0, 1, 127, 128, (1 << bits) - 1, dice.getrandbits(dice.randint(1, bits))])


def data(dice):
    return dice.randbytes(dice.choice([0, 1, 127, 128, dice.randint(0, 400)]))


def member_id(dice):
    return "".join(dice.choice(IDS) for _ in range(dice.choice([1, 64, dice.randint(1, 64)])))


def runs(dice):
    found, left = [dice.choice([0, dice.randint(0, 5000)])], 16384
    left -= found[0]
    while left > 1 and dice.random() < 0.9:
        run = dice.randint(1, min(left - 1, dice.choice([3, 200, 2000])))
        found.append(run)
        left -= run
    if len(found) % 2 == 1:
        found.append(1)
    return found


MAKERS = {
    "Member.id": member_id,
    "Member.host": lambda dice: dice.choice(["127.0.0.1", "::1"]),
    "Member.weight": lambda dice: dice.randint(1, 10000),
    "GossipPeer.id": member_id,
    "GossipUpdate.accuser": member_id,
    "Moved.member_id": member_id,
    "Hello.nonce": lambda dice: dice.randbytes(32),
    "Hello.protocol_min": lambda dice: dice.randint(0, 5),
    "Hello.protocol_max": lambda dice: dice.randint(5, 10),
    "Entry.tags": lambda dice: dice.randbytes(4 * dice.randint(0, 8)),
    "Proof.hmac": lambda dice: dice.randbytes(dice.randint(16, 64)),
    "Fetch.slot": lambda dice: dice.randint(0, 16383),
    "Entries.slot": lambda dice: dice.randint(0, 16383),
}
REQUIRED = {"MemberRecord.member", "GossipPacket.source", "GossipUpdate.record"}


def value(dice, field):
    name = f"{field.containing_type.name}.{field.name}"
    if name in MAKERS:
        return MAKERS[name](dice)
    if field.name.endswith("port"):
        return dice.choice([0, 65535, dice.randint(1, 65535)])
    if field.enum_type:
        return dice.choice(field.enum_type.values).number
    return {
        field.TYPE_UINT32: lambda: number(dice, 32),
        field.TYPE_UINT64: lambda: number(dice, 64),
        field.TYPE_FIXED64: lambda: number(dice, 64),
        field.TYPE_BOOL: lambda: dice.random() < 0.5,
        field.TYPE_BYTES: lambda: data(dice),
        field.TYPE_STRING: lambda: "".join(dice.choice("aZ0 é語🜁\0") for _ in range(dice.randint(0, 20))),
    }[field.type]()


def fill(dice, message):
    chosen = {group.name: dice.choice(group.fields).name for group in message.DESCRIPTOR.oneofs}
    for field in message.DESCRIPTOR.fields:
        name = f"{message.DESCRIPTOR.name}.{field.name}"
        if field.containing_oneof and chosen[field.containing_oneof.name] != field.name:
            continue
        if name == "Slots.runs":
            message.runs.extend(runs(dice))
        elif field.is_repeated:
            for _ in range(dice.choice([0, 0, 1, 2, 5])):
                if field.message_type:
                    fill(dice, getattr(message, field.name).add())
                else:
                    getattr(message, field.name).append(value(dice, field))
        elif field.message_type:
            if field.containing_oneof or name in REQUIRED or dice.random() < 0.5:
                getattr(message, field.name).SetInParent()
                fill(dice, getattr(message, field.name))
        else:
            setattr(message, field.name, value(dice, field))


def main(arguments):
    kinds = compiled()
    if arguments[0] == "check":
        with open(arguments[1]) as lines, open(arguments[2], "w") as out:
            for line in lines:
                kind, _, encoded = line.strip().partition(" ")
                write(out, kind, kinds[kind].FromString(bytes.fromhex(encoded)))
    else:
        dice = random.Random(int(arguments[1]))
        with open(arguments[3], "w") as out:
            for _ in range(int(arguments[2])):
                kind = dice.choice(["frame", "frame", "gossip"])
                message = kinds[kind]()
                fill(dice, message)
                write(out, kind, message)


main(sys.argv[1:])
