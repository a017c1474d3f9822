// Command bbolt is a small program with bbolt, to see what that adds to a binary.
package main

import (
	"fmt"
	"net/http"

	"go.etcd.io/bbolt"
)

func main() {
	fmt.Println(http.ListenAndServe("", nil), any(bbolt.Open))
}
