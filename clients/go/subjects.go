package hookline

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

const longestToken = 128

// Token is one token of a subject: all but [A-Za-z0-9_-] percent-encoded, hashed where it is longer than 128 bytes, _ where it is empty.
func Token(text string) string {
	if text == "" {
		return "_"
	}
	var encoded strings.Builder
	for _, character := range []byte(text) {
		switch {
		case 'a' <= character && character <= 'z', 'A' <= character && character <= 'Z', '0' <= character && character <= '9',
			character == '_', character == '-':
			encoded.WriteByte(character)
		default:
			fmt.Fprintf(&encoded, "%%%02X", character)
		}
	}
	if encoded.Len() > longestToken {
		return fmt.Sprintf("sha256-%x", sha256.Sum256([]byte(text)))
	}
	return encoded.String()
}

// AccountFilter names the events of one account.
func AccountFilter(channel, account string) string {
	return "inbox.v1.event.*." + Token(channel) + "." + Token(account) + ".>"
}
