/* A file that several units see: its lines come more than once. */
static inline int positive(int points) { return points > 0 ? points : 0; }
