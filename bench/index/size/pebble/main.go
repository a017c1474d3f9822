// Command pebble is a small program with pebble, to see what that adds to a binary.
package main

import (
	"fmt"
	"net/http"

	"github.com/cockroachdb/pebble/v2"
)

func main() {
	fmt.Println(http.ListenAndServe("", nil), any(pebble.Open))
}
