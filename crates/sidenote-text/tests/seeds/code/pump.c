#include <stdio.h>
#define MAX(a, b) ((a) > (b) ? (a) : (b))
struct price { int cents; };
/* main */
int main(int argc, char **argv) { for (int i = 0; i < argc; i++) { printf("%s\n", argv[i]); } return 0; }
