/* Cuts a graph of five vertices in two, so that as many edges as possible go across. Build it as
 * classify.c. */
#include <qama/qama.h>
#include <stdio.h>

int main(void) {
  const int32_t first[] = {0, 1, 2, 3, 4}, second[] = {1, 2, 3, 4, 0};
  uint8_t side[5];
  qama_problem* problem = NULL;
  qama_solution solution = {.struct_size = sizeof solution};
  if (qama_problem_from_graph(5, 5, first, second, NULL, &problem) ||
      qama_problem_solve(problem, NULL, side, &solution))
    return puts(qama_last_error()), 1;
  printf("cut %.0f, sides %d %d %d %d %d\n", solution.value, side[0], side[1], side[2], side[3],
         side[4]);
  qama_problem_close(problem);
}
