// Command none is a small program without a store, to compare the others with.
package main

import (
	"fmt"
	"net/http"
)

func main() {
	fmt.Println(http.ListenAndServe("", nil))
}
