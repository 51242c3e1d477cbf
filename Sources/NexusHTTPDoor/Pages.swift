/// What a person sees who opens the port in a browser.
enum Pages {
  static let index: StaticString = """
    NexusCache: a distributed in-memory cache.

    GET    /api/cache/{key}   the value, as JSON; as it is with Accept: application/octet-stream (HEAD: without a body)
    PUT    /api/cache/{key}   stores {"value": "...", "ttl": seconds}, or the body itself
    POST   /api/cache/{key}   with Content-Type: application/octet-stream (then ?ttl=seconds or X-TTL)
    DELETE /api/cache/{key}   deletes
           ?namespace=name    (or the header X-Namespace) chooses the namespace; "default" where nothing is said

    GET    /api/get?key=key   value=...; POST /api/set: the fields key, value, expire (seconds), hot and group of a form
    POST   /v1/cache/refresh?key=key       has it loaded anew from the namespace's origin
    POST   /v1/cache/invalidate?key=key    (?prefix=text, ?tag=tag) removes what is there, on every member

    GET    /health            {"healthy":true,...}; /health/live: 200 while the process answers
    GET    /health/ready      200 while it takes requests, 503 and the reason while it joins, leaves or drains
    GET    /metrics           Prometheus text format
    GET    /v1/events         what happens, as it happens (text/event-stream); ?types=membership,topology,invalidation

    GET    /v1/cluster/state  members, and what this node has of the slots
    GET    /v1/cluster/slots  ranges of slots with their members
    POST   /v1/cluster/join   {"address": "HOST:PORT"}: meets the member with this peer port
    POST   /v1/cluster/leave  hands every slot over and leaves
    POST   /setpeer           peer=HOST:PORT: the same as join

    """
}
