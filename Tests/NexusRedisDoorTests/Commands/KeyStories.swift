import Testing

@Suite("Keys answer as Redis does")
struct KeyStories {
  @Test("Keys are deleted and counted, each as often as it is named")
  func keysAreDeletedAndCountedEach() {
    let transcript = ##"""
      > MSET a 1 b 2 c 3
      +OK
      > EXISTS a b nokey a
      :3
      > TOUCH a nokey a
      :2
      > DEL a nokey a
      :1
      > UNLINK b c
      :2
      > DBSIZE
      :0
      > TYPE a
      +none
      > SET a 1
      +OK
      > TYPE a
      +string
      """##
    #expect(differences(transcript) == [])
  }

  @Test("EXPIRE sets, changes and refuses lifetimes")
  func expireSetsChangesAndRefusesLifetimes() {
    let transcript = ##"""
      > EXPIRE nokey 10
      :0
      > SET a 1
      +OK
      > TTL a
      :-1
      > PTTL a
      :-1
      > TTL nokey
      :-2
      > EXPIRETIME a
      :-1
      > PEXPIRETIME nokey
      :-2
      > EXPIRE a 100
      :1
      > TTL a
      :100
      > EXPIRE a 50 GT
      :0
      > EXPIRE a 50 LT
      :1
      > TTL a
      :50
      > EXPIRE a 70 NX
      :0
      > EXPIRE a 70 XX
      :1
      > EXPIRE a 80 XX GT
      :1
      > TTL a
      :80
      > EXPIRE a 90 gt lt
      -ERR GT and LT options at the same time are not compatible
      > PERSIST a
      :1
      > PERSIST a
      :0
      > EXPIRE a 100 XX
      :0
      > EXPIRE a 100 GT
      :0
      > EXPIRE a 100 LT
      :1
      > TTL a
      :100
      > EXPIRE a 100 NX XX
      -ERR NX and XX, GT or LT options at the same time are not compatible
      > EXPIRE a 100 GT NX
      -ERR NX and XX, GT or LT options at the same time are not compatible
      > EXPIRE a 100 foo
      -ERR Unsupported option foo
      > EXPIRE a x foo
      -ERR Unsupported option foo
      > EXPIRE a x
      -ERR value is not an integer or out of range
      > EXPIRE a 100 "b\r\nad"
      -ERR Unsupported option b  ad
      > EXPIRE a 9223372036854775807
      -ERR invalid expire time in 'expire' command
      > EXPIRE a -9223372036854775808
      -ERR invalid expire time in 'expire' command
      > EXPIRE a 9223372036854775
      -ERR invalid expire time in 'expire' command
      > PEXPIRE a 9223372036854775807
      -ERR invalid expire time in 'pexpire' command
      > PEXPIREAT a 9223372036854775807
      :1
      > PEXPIRETIME a
      :9223372036854775807
      > EXPIRETIME a
      :9223372036854776
      > EXPIREAT a 99999999999
      :1
      > EXPIRETIME a
      :99999999999
      > PEXPIRETIME a
      :99999999999000
      > PEXPIREAT a 99999999999499
      :1
      > EXPIRETIME a
      :99999999999
      > PEXPIREAT a 99999999999500
      :1
      > EXPIRETIME a
      :100000000000
      """##
    #expect(differences(transcript) == [])
  }

  @Test("A lifetime that is over deletes the key at once")
  func aLifetimeThatIsOverDeletes() {
    let transcript = ##"""
      > SET a 1
      +OK
      > EXPIRE a 0
      :1
      > EXISTS a
      :0
      > SET a 1
      +OK
      > EXPIRE a -1
      :1
      > EXISTS a
      :0
      > SET a 1
      +OK
      > EXPIREAT a 1
      :1
      > EXISTS a
      :0
      > SET a 1 EXAT 99999999999
      +OK
      > PEXPIRE a -5 GT
      :0
      > PEXPIRE a -5 LT
      :1
      > EXISTS a
      :0
      """##
    #expect(differences(transcript) == [])
  }

  @Test("RENAME takes value and lifetime along")
  func renameTakesValueAndLifetimeAlong() {
    let transcript = ##"""
      > RENAME nokey b
      -ERR no such key
      > RENAME nokey nokey
      -ERR no such key
      > RENAMENX nokey nokey
      -ERR no such key
      > SET a 1 EXAT 99999999999
      +OK
      > SET b 2
      +OK
      > RENAME a b
      +OK
      > EXISTS a
      :0
      > GET b
      "1"
      > EXPIRETIME b
      :99999999999
      > RENAME b b
      +OK
      > RENAMENX b b
      :0
      > GET b
      "1"
      > SET c 3
      +OK
      > RENAMENX b c
      :0
      > RENAMENX b d
      :1
      > MGET b c d
      [nil "3" "1"]
      > EXPIRETIME d
      :99999999999
      > RENAME c d
      +OK
      > TTL d
      :-1
      """##
    #expect(differences(transcript) == [])
  }

  @Test("COPY and MOVE reach other databases")
  func copyAndMoveReachOtherDatabases() {
    let transcript = ##"""
      > SET a 1 EXAT 99999999999
      +OK
      > COPY a b
      :1
      > COPY a b
      :0
      > SET a 2
      +OK
      > COPY a b REPLACE
      :1
      > GET b
      "2"
      > TTL b
      :-1
      > COPY a a
      -ERR source and destination objects are the same
      > COPY a a DB 0
      -ERR source and destination objects are the same
      > COPY a a DB 1
      :1
      > COPY a a DB 1
      :0
      > COPY a a REPLACE DB 1
      :1
      > COPY a b DB 16
      -ERR DB index is out of range
      > COPY a b DB -1
      -ERR DB index is out of range
      > COPY a b DB x
      -ERR value is not an integer or out of range
      > COPY a b DB 99999999999
      -ERR value is out of range, value must between -2147483648 and 2147483647
      > COPY a b DB
      -ERR syntax error
      > COPY a b foo
      -ERR syntax error
      > COPY nokey c
      :0
      > COPY nokey nokey
      -ERR source and destination objects are the same
      > MOVE a 0
      -ERR source and destination objects are the same
      > MOVE a 1
      :0
      > MOVE b 1
      :1
      > EXISTS a b
      :1
      > MOVE nokey 1
      :0
      > MOVE a 16
      -ERR DB index is out of range
      > MOVE a x
      -ERR value is not an integer or out of range
      > MOVE a -1
      -ERR DB index is out of range
      """##
    #expect(differences(transcript) == [])
  }

  @Test("SCAN and KEYS filter by pattern and type")
  func scanAndKeysFilterByPattern() {
    let transcript = ##"""
      > MSET key:1 a key:2 b key:12 c other d
      +OK
      > SCAN 0 MATCH key:1 COUNT 100
      ["0" ["key:1"]]
      > SCAN 0 MATCH ke[xyz]:12 COUNT 100
      ["0" ["key:12"]]
      > SCAN 0 MATCH "ke\\y:12" COUNT 100
      ["0" ["key:12"]]
      > SCAN 0 TYPE string MATCH o* COUNT 100
      ["0" ["other"]]
      > SCAN 0 TYPE STRING MATCH *her COUNT 100
      ["0" ["other"]]
      > SCAN 0 TYPE list COUNT 100
      ["0" []]
      > SCAN 0 COUNT 100 MATCH nothing
      ["0" []]
      > KEYS key:?2
      ["key:12"]
      > KEYS o*r
      ["other"]
      > KEYS *[^0-9]
      ["other"]
      > KEYS nothing
      []
      > SCAN x
      -ERR invalid cursor
      > SCAN 99999999999999999999
      -ERR invalid cursor
      > SCAN " 1"
      -ERR invalid cursor
      > SCAN - COUNT 100
      -ERR invalid cursor
      > SCAN "" COUNT 100 MATCH other
      ["0" ["other"]]
      > SCAN +0 COUNT 100 MATCH other
      ["0" ["other"]]
      > SCAN 0 COUNT 0
      -ERR syntax error
      > SCAN 0 COUNT x
      -ERR value is not an integer or out of range
      > SCAN 0 COUNT
      -ERR syntax error
      > SCAN 0 MATCH
      -ERR syntax error
      > SCAN 0 foo bar
      -ERR syntax error
      """##
    #expect(differences(transcript) == [])
  }

  @Test("Whole databases are emptied")
  func wholeDatabasesAreEmptied() {
    let transcript = ##"""
      > RANDOMKEY
      nil
      > SET a 1
      +OK
      > RANDOMKEY
      "a"
      > DBSIZE
      :1
      > COPY a a DB 1
      :1
      > FLUSHDB
      +OK
      > DBSIZE
      :0
      > SET a 1
      +OK
      > MOVE a 1
      :0
      > FLUSHALL ASYNC
      +OK
      > SET a 1
      +OK
      > MOVE a 1
      :1
      > FLUSHDB foo
      -ERR syntax error
      > FLUSHALL SYNC ASYNC
      -ERR syntax error
      > FLUSHALL SYNC
      +OK
      > FLUSHDB async
      +OK
      """##
    #expect(differences(transcript) == [])
  }

  @Test("OBJECT and MEMORY USAGE look at single values")
  func objectAndMemoryUsageLookAt() {
    let transcript = ##"""
      > SET a 123
      +OK
      > OBJECT ENCODING a
      "int"
      > SET a -9223372036854775808
      +OK
      > OBJECT ENCODING a
      "int"
      > SET a 9223372036854775808
      +OK
      > OBJECT ENCODING a
      "embstr"
      > SET a 0123
      +OK
      > OBJECT ENCODING a
      "embstr"
      > SET a "01234567890123456789012345678901234567890123"
      +OK
      > OBJECT ENCODING a
      "embstr"
      > SET a "012345678901234567890123456789012345678901234"
      +OK
      > OBJECT ENCODING a
      "raw"
      > OBJECT ENCODING nokey
      nil
      > OBJECT REFCOUNT a
      :1
      > OBJECT REFCOUNT nokey
      nil
      > OBJECT FREQ nokey
      nil
      > OBJECT IDLETIME nokey
      nil
      > OBJECT ENCODING
      -ERR wrong number of arguments for 'object|encoding' command
      """##
    #expect(differences(transcript) == [])
  }
}
