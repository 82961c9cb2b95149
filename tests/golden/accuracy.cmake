# Accuracy of a shipped model on the first 1000 official test images: not below what the full set gives by more than
# four standard errors of such a sample (2 points for MNIST, 4 for Fashion-MNIST).
cmake_minimum_required(VERSION 3.25)
if(NOT EXISTS ${DATA})
  message("SKIPPED: no data set at '${DATA}'")
  return()
endif()
set(at_least_mnist 960)
set(at_least_fashion-mnist 850)
execute_process(COMMAND ${EMULATOR} ${PROGRAM} eval -m ${MODEL} --dataset ${DATASET} --data ${DATA} --limit 1000 --json
                OUTPUT_VARIABLE answer RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "qama eval ended with ${status}")
endif()
string(JSON correct GET "${answer}" correct)
message("${correct} of 1000 right, expected at least ${at_least_${DATASET}}")
if(correct LESS at_least_${DATASET})
  message(FATAL_ERROR "too few are right")
endif()
