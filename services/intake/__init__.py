"""Takes requests from portals, over HTTP and on topics; decides who may ask and in which order it was received."""
