import Testing

@Suite("Whole values answer as Redis does")
struct SettingStories {
  @Test("GET answers what SET stored, any bytes, and nothing where there is nothing")
  func getAnswersWhatSetStoredAny() {
    let transcript = ##"""
      > GET a
      nil
      > SET a "one\r\n\x00\xff"
      +OK
      > GET a
      "one\x0d\x0a\x00\xff"
      > SET a ""
      +OK
      > GET a
      ""
      > SET "" "empty key"
      +OK
      > GET ""
      "empty key"
      > STRLEN a
      :0
      > STRLEN nokey
      :0
      """##
    #expect(differences(transcript) == [])
  }

  @Test("SET takes its options in any order and refuses those that contradict each other")
  func setTakesItsOptionsInAny() {
    let transcript = ##"""
      > SET a 1 NX
      +OK
      > SET a 2 NX
      nil
      > SET nokey 2 XX
      nil
      > SET a 3 XX
      +OK
      > GET a
      "3"
      > SET a 4 GET
      "3"
      > SET a 5 nx get
      "4"
      > SET fresh 5 GET NX
      nil
      > GET fresh
      "5"
      > SET nokey 5 XX GET
      nil
      > SET a 6 NX XX
      -ERR syntax error
      > SET a 6 XX NX
      -ERR syntax error
      > SET a 6 EX 10 PX 10
      -ERR syntax error
      > SET a 6 EX 10 KEEPTTL
      -ERR syntax error
      > SET a 6 KEEPTTL EXAT 10
      -ERR syntax error
      > SET a 6 PERSIST
      -ERR syntax error
      > SET a 6 EX
      -ERR syntax error
      > SET a 6 EX 10 EX 20
      +OK
      > TTL a
      :20
      > SET a 6 foo
      -ERR syntax error
      > SET a 7 px 100000 get XX
      "6"
      > TTL a
      :100
      """##
    #expect(differences(transcript) == [])
  }

  @Test("SET without KEEPTTL takes a TTL away, with it keeps it")
  func setWithoutKeepttlTakesATtl() {
    let transcript = ##"""
      > SET a 1 EXAT 99999999999
      +OK
      > EXPIRETIME a
      :99999999999
      > SET a 2 KEEPTTL
      +OK
      > EXPIRETIME a
      :99999999999
      > SET a 3
      +OK
      > TTL a
      :-1
      > SET a 3 KEEPTTL
      +OK
      > TTL a
      :-1
      > SET a 1 PXAT 99999999999123
      +OK
      > PEXPIRETIME a
      :99999999999123
      > EXPIRETIME a
      :99999999999
      """##
    #expect(differences(transcript) == [])
  }

  @Test("A TTL of a write must be an integer above 0 whose moment 64 bits can hold")
  func aTtlOfAWriteMust() {
    let transcript = ##"""
      > SET a 1 EX 0
      -ERR invalid expire time in 'set' command
      > SET a 1 EX -1
      -ERR invalid expire time in 'set' command
      > SET a 1 EX abc
      -ERR value is not an integer or out of range
      > SET a 1 EX 1.5
      -ERR value is not an integer or out of range
      > SET a 1 EX 9223372036854775807
      -ERR invalid expire time in 'set' command
      > SET a 1 PX 9223372036854775807
      -ERR invalid expire time in 'set' command
      > SET a 1 PXAT 9223372036854775807
      +OK
      > PEXPIRETIME a
      :9223372036854775807
      > EXPIRETIME a
      :9223372036854776
      > SETEX a 0 b
      -ERR invalid expire time in 'setex' command
      > SETEX a x b
      -ERR value is not an integer or out of range
      > SETEX a 100 b
      +OK
      > TTL a
      :100
      > PSETEX a -5 b
      -ERR invalid expire time in 'psetex' command
      > PSETEX a 9223372036854775807 b
      -ERR invalid expire time in 'psetex' command
      > PSETEX a 100000 c
      +OK
      > GET a
      "c"
      > GETEX a EX 0
      -ERR invalid expire time in 'getex' command
      > GETEX nokey EX 0
      nil
      > GETEX nokey EX 0 PX 1
      -ERR syntax error
      """##
    #expect(differences(transcript) == [])
  }

  @Test("What is set to expire in the past is gone")
  func whatIsSetToExpireIn() {
    let transcript = ##"""
      > SET a 1 EXAT 1
      +OK
      > GET a
      nil
      > SET a 1
      +OK
      > GETEX a PXAT 1
      "1"
      > EXISTS a
      :0
      """##
    #expect(differences(transcript) == [])
  }

  @Test("GETEX reads, and changes the expiry only where told to")
  func getexReadsAndChangesTheExpiry() {
    let transcript = ##"""
      > SET a v EXAT 99999999999
      +OK
      > GETEX a
      "v"
      > EXPIRETIME a
      :99999999999
      > GETEX a EXAT 99999999998
      "v"
      > EXPIRETIME a
      :99999999998
      > GETEX a PERSIST
      "v"
      > TTL a
      :-1
      > GETEX a EX 100
      "v"
      > TTL a
      :100
      > GETEX a PERSIST EX 1
      -ERR syntax error
      > GETEX a KEEPTTL
      -ERR syntax error
      > GETEX a NX
      -ERR syntax error
      """##
    #expect(differences(transcript) == [])
  }

  @Test("SETNX, GETSET and GETDEL")
  func setnxGetsetAndGetdel() {
    let transcript = ##"""
      > SETNX a 1
      :1
      > SETNX a 2
      :0
      > GET a
      "1"
      > EXPIRE a 100
      :1
      > GETSET a 3
      "1"
      > TTL a
      :-1
      > GETSET fresh 4
      nil
      > GETDEL fresh
      "4"
      > GETDEL fresh
      nil
      > EXISTS fresh
      :0
      """##
    #expect(differences(transcript) == [])
  }

  @Test("Many keys at once")
  func manyKeysAtOnce() {
    let transcript = ##"""
      > MSET a 1 b 2 c 3
      +OK
      > MGET a b nokey c a
      ["1" "2" nil "3" "1"]
      > MSET a 9 a 10
      +OK
      > GET a
      "10"
      > MSET a 1 b
      -ERR wrong number of arguments for 'mset' command
      > MSET a
      -ERR wrong number of arguments for 'mset' command
      > MSETNX d 1 a 2
      :0
      > EXISTS d
      :0
      > MSETNX d 1 e 2 d 3
      :1
      > MGET d e
      ["3" "2"]
      > MSETNX x
      -ERR wrong number of arguments for 'msetnx' command
      > EXPIRE a 100
      :1
      > MSET a 1
      +OK
      > TTL a
      :-1
      """##
    #expect(differences(transcript) == [])
  }
}
