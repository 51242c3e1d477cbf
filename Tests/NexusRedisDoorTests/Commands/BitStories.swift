import Testing

@Suite("Bits answer as Redis does")
struct BitStories {
  @Test("SETBIT and GETBIT number bits from the highest of the first byte")
  func setbitAndGetbitNumberBitsFrom() {
    let transcript = ##"""
      > SETBIT a 7 1
      :0
      > GET a
      "\x01"
      > SETBIT a 7 0
      :1
      > GET a
      "\x00"
      > SETBIT a 20 1
      :0
      > STRLEN a
      :3
      > GETBIT a 20
      :1
      > GETBIT a 19
      :0
      > GETBIT a 4294967295
      :0
      > GETBIT nokey 0
      :0
      > SETBIT a -1 1
      -ERR bit offset is not an integer or out of range
      > SETBIT a x y
      -ERR bit offset is not an integer or out of range
      > SETBIT a 4294967296 1
      -ERR bit offset is not an integer or out of range
      > SETBIT a 0 2
      -ERR bit is not an integer or out of range
      > SETBIT a 0 x
      -ERR bit is not an integer or out of range
      > GETBIT a 4294967296
      -ERR bit offset is not an integer or out of range
      > GETBIT a -1
      -ERR bit offset is not an integer or out of range
      > EXPIREAT a 99999999999
      :1
      > SETBIT a 100 1
      :0
      > EXPIRETIME a
      :99999999999
      """##
    #expect(differences(transcript) == [])
  }

  @Test("BITCOUNT counts over bytes or bits")
  func bitcountCountsOverBytesOrBits() {
    let transcript = ##"""
      > SET a foobar
      +OK
      > BITCOUNT a
      :26
      > BITCOUNT a 0 0
      :4
      > BITCOUNT a 1 1
      :6
      > BITCOUNT a 1 1 BYTE
      :6
      > BITCOUNT a 5 30 BIT
      :17
      > BITCOUNT a -7 -1 bit
      :4
      > BITCOUNT a 0 -1 BIT
      :26
      > BITCOUNT a 3 3 BIT
      :0
      > BITCOUNT a -100 -200
      :0
      > BITCOUNT a -200 -100
      :4
      > BITCOUNT a -1 -2 FOO
      :0
      > BITCOUNT a 10 20
      :0
      > BITCOUNT a 1
      -ERR syntax error
      > BITCOUNT a x 1
      -ERR value is not an integer or out of range
      > BITCOUNT a 1 x
      -ERR value is not an integer or out of range
      > BITCOUNT a 1 2 FOO
      -ERR syntax error
      > BITCOUNT a 1 2 BIT more
      -ERR syntax error
      > BITCOUNT nokey 1
      :0
      > SET a "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
      +OK
      > BITCOUNT a
      :136
      > BITCOUNT a 3 130 BIT
      :128
      """##
    #expect(differences(transcript) == [])
  }

  @Test("BITPOS finds the first bit, and sees zeros behind a value without an end")
  func bitposFindsTheFirstBitAnd() {
    let transcript = ##"""
      > SET a "\xff\xf0\x00"
      +OK
      > BITPOS a 0
      :12
      > BITPOS a 1 2
      :-1
      > BITPOS a 1
      :0
      > BITPOS a 0 2
      :16
      > BITPOS a 0 0 1
      :12
      > BITPOS a 0 12 15 BIT
      :12
      > BITPOS a 0 0 -1 BIT
      :12
      > BITPOS a 1 7 15 BIT
      :7
      > BITPOS a 1 12 -1 BIT
      :-1
      > BITPOS a 0 -100 -200
      :-1
      > BITPOS a 2
      -ERR The bit argument must be 1 or 0.
      > BITPOS a x
      -ERR value is not an integer or out of range
      > BITPOS a 1 x
      -ERR value is not an integer or out of range
      > BITPOS a 1 0 x
      -ERR value is not an integer or out of range
      > BITPOS a 1 0 x FOO
      -ERR syntax error
      > BITPOS a 1 0 -1 FOO
      -ERR syntax error
      > BITPOS a 1 0 -1 BIT more
      -ERR syntax error
      > BITPOS nokey 0
      :0
      > BITPOS nokey 1
      :-1
      > SET a "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
      +OK
      > BITPOS a 0
      :80
      > BITPOS a 0 0
      :80
      > BITPOS a 0 0 -1
      :-1
      > BITPOS a 0 9
      :80
      > BITPOS a 0 10
      :-1
      > SET a "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
      +OK
      > BITPOS a 1
      :79
      > BITPOS a 1 0 8
      :-1
      > BITPOS a 1 0 79 BIT
      :79
      > BITPOS a 1 0 78 BIT
      :-1
      > SET a ""
      +OK
      > BITPOS a 0
      :-1
      > BITPOS a 1
      :-1
      """##
    #expect(differences(transcript) == [])
  }

  @Test("BITOP takes shorter values as followed by zeros")
  func bitopTakesShorterValuesAsFollowed() {
    let transcript = ##"""
      > SET a abcdef
      +OK
      > SET b foobarbaz
      +OK
      > BITOP AND dest a b
      :9
      > GET dest
      "`bc`ab\x00\x00\x00"
      > BITOP OR dest a b
      :9
      > GET dest
      "goofevbaz"
      > BITOP xor dest a b
      :9
      > GET dest
      "\x07\x0d\x0c\x06\x04\x14baz"
      > BITOP NOT dest a
      :6
      > GET dest
      "\x9e\x9d\x9c\x9b\x9a\x99"
      > BITOP NOT a a
      :6
      > GET a
      "\x9e\x9d\x9c\x9b\x9a\x99"
      > BITOP AND dest b nokey
      :9
      > GET dest
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      > BITOP OR dest nokey b a
      :9
      > GET dest
      "\xfe\xff\xff\xfb\xfb\xfbbaz"
      > BITOP AND dest nokey other
      :0
      > EXISTS dest
      :0
      > BITOP OR a a
      :6
      > EXPIRE a 100
      :1
      > BITOP XOR a a b
      :9
      > TTL a
      :-1
      > BITOP NOT dest a b
      -ERR BITOP NOT must be called with a single source key.
      > BITOP foo dest a
      -ERR syntax error
      > BITOP AND dest
      -ERR wrong number of arguments for 'bitop' command
      > SET long "0123456789abcdef0123456789abcdefX"
      +OK
      > SET short "\xff\xff\xff\xff\xff\xff\xff\xff\xff"
      +OK
      > BITOP AND dest short long
      :33
      > GET dest
      "012345678\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      > BITOP XOR dest short long short
      :33
      > GET dest
      "0123456789abcdef0123456789abcdefX"
      """##
    #expect(differences(transcript) == [])
  }

  @Test("BITFIELD reads and writes numbers of any width at any offset")
  func bitfieldReadsAndWritesNumbersOf() {
    let transcript = ##"""
      > BITFIELD a
      []
      > EXISTS a
      :0
      > BITFIELD a SET u8 0 255 GET u4 0 GET i4 4 GET u8 100
      [:0 :15 :-1 :0]
      > BITFIELD a SET i5 3 -7 GET i5 3 GET u5 3
      [:-1 :-7 :25]
      > BITFIELD a SET u4 #1 9 GET u4 4
      [:9 :9]
      > BITFIELD a INCRBY u2 100 1 INCRBY u2 100 1 INCRBY u2 100 1 INCRBY u2 100 1
      [:1 :2 :3 :0]
      > BITFIELD a OVERFLOW SAT INCRBY u2 100 3 INCRBY u2 100 1
      [:3 :3]
      > BITFIELD a OVERFLOW FAIL INCRBY u2 100 1 OVERFLOW WRAP INCRBY u2 100 1
      [nil :0]
      > BITFIELD a SET i64 8 -9223372036854775808 GET i64 8 INCRBY i64 8 -1
      [:0 :-9223372036854775808 :9223372036854775807]
      > BITFIELD a OVERFLOW SAT SET i64 8 -9223372036854775808 INCRBY i64 8 -1
      [:9223372036854775807 :-9223372036854775808]
      > BITFIELD a OVERFLOW SAT INCRBY i64 8 9223372036854775807 INCRBY i64 8 9223372036854775807
      [:-1 :9223372036854775806]
      > BITFIELD a OVERFLOW SAT INCRBY i64 8 9223372036854775807
      [:9223372036854775807]
      > BITFIELD a SET u63 13 9223372036854775807 GET u63 13 INCRBY u63 13 1
      [:9223372036854775792 :9223372036854775807 :0]
      > BITFIELD a OVERFLOW SAT INCRBY u63 13 -1 SET u63 13 -5 GET u63 13
      [:0 :0 :9223372036854775807]
      > BITFIELD a OVERFLOW FAIL SET u8 0 256 SET u8 0 -1 SET i8 0 128 SET i8 0 -129
      [nil nil nil nil]
      > BITFIELD a OVERFLOW SAT SET i8 0 -9223372036854775808 GET i8 0 SET i8 0 -129 GET i8 0 SET i8 0 500 GET i8 0
      [:-7 :127 :127 :-128 :-128 :127]
      > BITFIELD a SET i8 0 300 GET i8 0 SET u8 0 300 GET u8 0 SET u8 0 -2 GET u8 0
      [:127 :44 :44 :44 :44 :254]
      > BITFIELD a OVERFLOW SAT INCRBY i8 0 -100 INCRBY i8 0 -100 INCRBY i8 0 300
      [:-102 :-128 :127]
      > BITFIELD a INCRBY i8 0 -100 INCRBY i8 0 -100 INCRBY i8 0 300
      [:27 :-73 :-29]
      > STRLEN a
      :13
      > BITFIELD_RO a GET i8 0 GET u16 #1
      [:-29 :65535]
      > BITFIELD_RO nokey GET i64 1000
      [:0]
      > EXISTS nokey
      :0
      """##
    #expect(differences(transcript) == [])
  }

  @Test("BITFIELD checks everything before it writes anything")
  func bitfieldChecksEverythingBeforeItWrites() {
    let transcript = ##"""
      > BITFIELD a SET u8 0 1 GET u65 0
      -ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
      > EXISTS a
      :0
      > BITFIELD a SET u8 0 1 SET u8 x 1
      -ERR bit offset is not an integer or out of range
      > BITFIELD a SET u8 0 1 SET u8 8 x
      -ERR value is not an integer or out of range
      > BITFIELD a GET i65 0
      -ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
      > BITFIELD a GET u64 0
      -ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
      > BITFIELD a GET i0 0
      -ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
      > BITFIELD a GET x8 0
      -ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
      > BITFIELD a GET u08 0
      -ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
      > BITFIELD a GET i8 -1
      -ERR bit offset is not an integer or out of range
      > BITFIELD a GET i8 #x
      -ERR bit offset is not an integer or out of range
      > BITFIELD a GET i8 4294967296
      -ERR bit offset is not an integer or out of range
      > BITFIELD a GET i8 #536870912
      -ERR bit offset is not an integer or out of range
      > BITFIELD a OVERFLOW foo
      -ERR Invalid OVERFLOW type specified
      > BITFIELD a OVERFLOW
      -ERR syntax error
      > BITFIELD a OVERFLOW SAT
      []
      > BITFIELD a SET i8 0
      -ERR syntax error
      > BITFIELD a foo
      -ERR syntax error
      > BITFIELD_RO a SET i8 0 1
      -ERR BITFIELD_RO only supports the GET subcommand
      > BITFIELD_RO a OVERFLOW SAT GET i8 0
      [:0]
      > BITFIELD_RO a INCRBY i8 0 x
      -ERR value is not an integer or out of range
      > EXISTS a
      :0
      """##
    #expect(differences(transcript) == [])
  }
}
